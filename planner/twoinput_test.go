package planner

import (
	"errors"
	"strings"
	"testing"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// except is a node of two inputs that no rule knows: the rows of its left input without those of its right one. It
// retracts rows when the right input gets them.
type except struct {
	in      []exec.Node
	columns [2][]int // by input: its column for each column of out
	out     *flow.Schema
}

func (x *except) Schema() *flow.Schema { return x.out }
func (x *except) Inputs() []exec.Node  { return x.in }
func (x *except) String() string       { return "Except" }
func (x *except) Open(*exec.Context) (exec.Operator, error) {
	return nil, errors.New("not to be opened")
}
func (x *except) Keeps() bool           { return true }
func (x *except) Retracts() bool        { return true }
func (x *except) Identity() op.Identity { return op.Identity{Columns: x.out.IDs[:2]} }

func (x *except) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := &except{in: in, out: x.out}
	for port, columns := range x.columns {
		for _, c := range columns {
			out.columns[port] = append(out.columns[port], move(port, c))
		}
	}
	return out
}

func (x *except) Under(p expr.Expr) ([]expr.Expr, bool) {
	out := make([]expr.Expr, 2)
	for port := range out {
		out[port] = op.Rewire(p, port, func(port, c int) int { return x.columns[port][x.out.Position(c)] })
	}
	return out, true
}

// TestTwoInputs lowers a plan whose middle is a new node of two inputs. Filters move into both inputs, each scan
// decodes the columns that are read, the exchange of one input becomes a stage, the aggregate emits old rows, and a
// random condition is stored by the identity that the node states.
func TestTwoInputs(t *testing.T) {
	statements, err := lang.Parse(`
		CREATE STREAM a (k STRING KEY, n BIGINT, unread INT) WITH (topic='a', format='json', partitions=2);
		CREATE STREAM b (k STRING KEY, n BIGINT, unread INT) WITH (topic='b', format='json', partitions=2);
		CREATE TABLE l AS SELECT n, COUNT(*) AS c FROM a GROUP BY n; CREATE STREAM r AS SELECT n, LEN(k) AS c FROM b;
		SELECT * FROM x WHERE n > 7; SELECT * FROM x WHERE RANDOM() < 0.5;`)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Catalog: catalog.New(), Functions: udf.Builtins(), Properties: map[string]string{}}
	for _, st := range statements[:2] {
		r, err := Declare(st.(*lang.CreateSource), o)
		if err != nil {
			t.Fatal(err)
		}
		o.Catalog = o.Catalog.Apply(catalog.Change{Relation: r})
	}
	b := newBinder(o, "job")
	x := &except{}
	var cols []column
	for port, st := range statements[2:4] {
		sel, err := b.query(st.(*lang.CreateSource).Query, persistent)
		if err != nil {
			t.Fatal(err)
		}
		emitted := []column{sel.items[0].column, sel.items[1].column}
		for _, r := range []role{eventTime, streamTime} {
			c, _ := sel.scope.role(r)
			emitted = append(emitted, c)
		}
		for _, c := range emitted {
			x.columns[port] = append(x.columns[port], c.id)
			if port == 0 {
				cols = append(cols, b.column(c.name, c.t, c.show, c.role))
			}
		}
		x.in = append(x.in, sel.node)
	}
	x.out = schemaOf(cols)
	var root exec.Node = x
	for _, st := range statements[4:] {
		p, err := b.condition(st.(*lang.QueryStatement).Query.Select.Where, &scope{cols: cols}, "WHERE")
		if err != nil {
			t.Fatal(err)
		}
		root = &op.Filter{Input: root, Predicate: p}
	}
	stages, err := b.lower(root, false, true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range stages {
		got = append(got, Explain(s)...)
		every(s.Root, func(n exec.Node) {
			if a, ok := n.(*op.Aggregate); ok && !a.Retract {
				t.Error("the aggregate below the node emits no old rows")
			}
		})
	}
	const want = `Exchange by ($key0) topic="streamql.exchange.job.1"
  Project n AS $key0, ROWTIME, $STREAMTIME
    Scan a topic="a" format=JSON columns=(n)
Filter $drawn0
  Memo of ($drawn0) by (n, c)
    Project n, c, ROWTIME, $STREAMTIME, (RANDOM() < 0.5) AS $drawn0
      Except
        Project n, $agg0 AS c, ROWTIME, $STREAMTIME
          Filter (n > 7)
            Aggregate by ($key0) COUNT(*) emit changes
              Receive topic="streamql.exchange.job.1"
        Project n, LEN(k) AS c, ROWTIME, $STREAMTIME
          Filter (n > 7)
            Scan b topic="b" format=JSON columns=(k, n)`
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("the plan is\n%s\nwant\n%s", got, want)
	}
}
