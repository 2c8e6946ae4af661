package engine

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/streamql/streamql/lang"
)

// corpus returns a statement of every form of the grammar.
func corpus(t *testing.T) (out []lang.Statement) {
	t.Helper()
	body, err := os.ReadFile("../lang/testdata/statements.sql")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		text, _, _ := strings.Cut(strings.TrimSpace(line), " ==> ")
		if text == "" || text[0] == '#' {
			continue
		}
		list, err := lang.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list...)
	}
	return out
}

// TestDeclarations checks that each type of statement either has a declaration or is planned.
func TestDeclarations(t *testing.T) {
	carried := map[reflect.Type]bool{}
	for _, st := range corpus(t) {
		typ := reflect.TypeOf(st)
		carried[typ] = carried[typ] || lang.Planned(st) == nil
		w, err := wayOf(st)
		if err != nil {
			continue
		}
		if got := w.role(st); got < Reader || got > Admin {
			t.Errorf("%s: role %v", st.Text(), got)
		}
		tr := st.Traits()
		if tr.Plan && w.plan == nil {
			t.Errorf("%s: lang says that it has a plan, the declaration has none", st.Text())
		}
		if reads := w.role(st) == Reader; reads != (tr.Effect == lang.Asks || tr.Effect == lang.Sets) {
			t.Errorf("%s: effect %d for the role %s", st.Text(), tr.Effect, w.role(st))
		}
	}
	types := lang.Statements()
	for _, st := range types {
		typ := reflect.TypeOf(st)
		if _, declared := ways[typ]; declared != carried[typ] {
			t.Errorf("%s: declared %v, carried out %v (lang/planned.go)", typ, declared, carried[typ])
		}
	}
	for typ := range ways {
		if !carried[typ] {
			t.Errorf("%s is declared, and no text reads as one", typ)
		}
	}
	if len(types) < 30 || len(ways) < 15 {
		t.Errorf("%d types, %d declarations", len(types), len(ways))
	}
}

// TestPlannedStatements checks that a planned statement is refused by name, for every role, alone and in an EXPLAIN,
// and changes nothing.
func TestPlannedStatements(t *testing.T) {
	o := openDir(t, "")
	before, n := o.Catalog().Version(), 0
	for _, st := range corpus(t) {
		for _, text := range []string{st.Text(), "EXPLAIN " + st.Text()} {
			list, err := o.Parse(text)
			if err != nil || lang.Planned(list[0]) == nil {
				continue
			}
			n++
			for _, role := range []Role{Reader, Admin} {
				_, err := o.Engine.NewSession(WithRole(role)).Run(t.Context(), list[0])
				var e *lang.Error
				if !errors.As(err, &e) || e.Code != "SQ3001" || e.Pos.Line != 1 ||
					!strings.Contains(e.Msg, "is not supported yet") {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
	if now := o.Catalog().Version(); n < 50 || now != before {
		t.Errorf("%d statements were refused; the catalog's version went from %d to %d", n, before, now)
	}
}

// TestShowAll: every SHOW that is not planned answers.
func TestShowAll(t *testing.T) {
	o := openDir(t, "")
	for _, name := range lang.Names() {
		list, err := o.Parse(name + ";")
		if err != nil {
			continue // it needs more than its name
		}
		if _, shows := list[0].(*lang.Show); !shows {
			continue
		}
		if _, err := o.Session.Run(t.Context(), list[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoJob checks the hint for a name of a relation or model: the job that fills it.
func TestNoJob(t *testing.T) {
	o := openDir(t, "")
	o.must(`CREATE STREAM s (k INT KEY, a DOUBLE) WITH (topic='s', format='json');
		CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
		CREATE STREAM u AS SELECT * FROM s; INSERT INTO u SELECT * FROM s;
		CREATE MODEL m TRANSFORM (a) FROM s TRAIN EACH EVENT WITH (type='kmeans', k=2);`)
	for _, verb := range []string{"PAUSE", "RESUME", "TERMINATE", "RESTART", "EXPLAIN"} {
		for _, c := range [][2]string{{"t", "t is filled by job CTAS_t_0: use that name"},
			{"T", "t is filled by job CTAS_t_0: use that name"},
			{"u", "u is filled by jobs CSAS_u_1, INSERTQUERY_u_2: use one of these names"},
			{"m", "m is trained by job MODEL_m_3: use that name"}, {"s", ""}} {
			list, err := o.Parse(verb + " " + c[0] + ";")
			if err != nil {
				t.Fatal(err)
			}
			_, err = o.Session.Run(t.Context(), list[0])
			var e *lang.Error
			if !errors.As(err, &e) || e.Code != "SQ2023" || e.Hint != c[1] || e.Pos.Col != len(verb)+2 {
				t.Errorf("%s %s: %v, hint %q", verb, c[0], err, e.Hint)
			}
		}
	}
}
