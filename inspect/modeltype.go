package inspect

import (
	"fmt"
	"strings"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/udf/ml"
)

// modelTypes returns the rows of SHOW MODEL TYPES.
func modelTypes() *flow.Batch {
	var rows [][]any
	for _, t := range ml.Types() {
		target := "no"
		if t.Task.Supervised() {
			target = "needed"
		}
		rows = append(rows, []any{t.Name, string(t.Task), target, trains(t.Trains), t.Doc})
	}
	return table([]string{"type", "task", "target", "trains", "doc"}, rows)
}

// trains names the clauses of CREATE MODEL that a type supports.
func trains(modes ml.Modes) string {
	var out []string
	for _, m := range []struct {
		mode ml.Modes
		text string
	}{{ml.Once, "ONCE"}, {ml.Window, "EACH WINDOW"}, {ml.Warm, "EACH WINDOW WARM START"},
		{ml.Decay, "EACH WINDOW DECAY"}, {ml.Event, "EACH EVENT"}} {
		if modes.Has(m.mode) {
			out = append(out, m.text)
		}
	}
	return strings.Join(out, ", ")
}

// modelType returns the result of DESCRIBE MODEL TYPE: what the type can do, its own options and the common ones.
func modelType(st *lang.Describe) (*flow.Batch, error) {
	name := st.Name.Name
	t, err := ml.Lookup(name.Text)
	if err != nil {
		failed := fail(name, len(name.Text), "SQ6009", "there is no model type %q", name.Text)
		var names []string
		for _, t := range ml.Types() {
			names = append(names, t.Name)
		}
		if near := lang.Suggest(name.Text, names); near != "" {
			failed.Label = "did you mean " + near + "?"
		}
		failed.Hint = "the types are " + strings.Join(names, ", ")
		return nil, failed
	}
	target := "no"
	if t.Task.Supervised() {
		target = "needed"
	}
	rows := [][]any{{"type", t.Name, nil, nil, t.Doc}, {"task", string(t.Task), nil, nil, nil},
		{"target", target, nil, nil, nil}, {"trains", trains(t.Trains), nil, nil, nil},
		{"functions", strings.Join(planner.FunctionsOf(t), ", "), nil, nil, nil}}
	own := map[string]bool{}
	for _, list := range [][]ml.Option{t.Options, ml.Common} {
		for _, o := range list {
			if own[o.Name] {
				continue // the type declares a common option with another default
			}
			own[o.Name] = true
			rows = append(rows, []any{"option " + o.Name, o.KindName(), text(literalOf(o.Default)), text(o.Range()), o.Doc})
		}
	}
	for _, e := range t.Examples {
		rows = append(rows, []any{"example", e.SQL, nil, nil, nil}, []any{"example", e.Result, nil, nil, nil})
	}
	return table([]string{"property", "value", "default", "legal", "doc"}, rows), nil
}

func literalOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return "'" + v + "'"
	}
	return fmt.Sprint(v)
}
