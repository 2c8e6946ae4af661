package reference

import (
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// wire creates the steps of a node and of all nodes below it. next receives the node's rows.
func (t *task) wire(n exec.Node, next step) error {
	var me step
	var advance func(int64) error
	var finish func() error
	var err error
	node := n
	switch n := exec.Resolve(n).(type) {
	case *op.Scan, *op.Received:
		t.leaf, t.entry = node, next
		return nil
	case *op.Filter:
		me, err = filter(n, next)
	case *op.Project:
		me, err = project(n, next)
	case *op.Explode:
		me, err = explode(n, next)
	case *op.Limit:
		return uncovered("LIMIT in a job")
	case *op.Normalize:
		me, err = normalize(n, next)
	case *op.Memo:
		me = memo(n, next)
	case *op.Aggregate:
		switch {
		case n.Emit == op.EmitEnd:
			return uncovered("an aggregate emitted at the end")
		case n.Window != nil && n.Window.Gap > 0:
			me, err = newSessions(n, next)
		default:
			var g *groups
			if g, err = newGroups(n, next); err == nil {
				me, advance, finish = g.take, g.close, g.closeAll
			}
		}
	case *op.Exchange:
		me = t.exchange(n)
	case *op.Sink:
		me, err = t.sink(n, next)
	default:
		return uncovered("%T", n)
	}
	if err != nil {
		return err
	}
	if err := t.wire(n.Inputs()[0], me); err != nil {
		return err
	}
	if advance != nil {
		t.advance, t.finish = append(t.advance, advance), append(t.finish, finish)
	}
	return nil
}

func filter(n *op.Filter, next step) (step, error) {
	if err := check(n.Predicate); err != nil {
		return nil, err
	}
	return func(rows []row) error {
		var out []row
		for _, r := range rows {
			passes := eval(n.Predicate, r.vals) == true
			switch {
			case n.Upsert && !passes:
				out = append(out, row{r.vals, flow.Retract})
			case n.Upsert || passes:
				out = append(out, r)
			case len(out) > 0 && out[len(out)-1].op == flow.Before: // the old row passed the filter, the new one does not
				out[len(out)-1].op = flow.Retract
			}
		}
		return give(next, out)
	}, nil
}

func give(next step, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	return next(rows)
}

func project(n *op.Project, next step) (step, error) {
	if err := check(n.Exprs...); err != nil {
		return nil, err
	}
	return func(rows []row) error {
		out := make([]row, len(rows))
		for i, r := range rows {
			out[i].op = r.op
			for _, e := range n.Exprs {
				out[i].vals = append(out[i].vals, eval(e, r.vals))
			}
		}
		return next(out)
	}, nil
}

func explode(n *op.Explode, next step) (step, error) {
	for _, c := range n.Calls {
		if c.Name != "EXPLODE" {
			return nil, uncovered("table function %s", c.Name)
		}
		if err := check(c.Args...); err != nil {
			return nil, err
		}
	}
	return func(rows []row) error {
		var out []row
		for _, r := range rows {
			lists, most := make([][]any, len(n.Calls)), 0
			for i, c := range n.Calls {
				lists[i], _ = eval(c.Args[0], r.vals).([]any)
				most = max(most, len(lists[i]))
			}
			for k := range most {
				vals := append([]any(nil), r.vals...)
				for _, l := range lists {
					var v any
					if k < len(l) {
						v = l[k]
					}
					vals = append(vals, v)
				}
				out = append(out, row{vals, r.op})
			}
		}
		return give(next, out)
	}, nil
}

// normalize stores each key's row and emits the old row before the new one. A change has the timestamp of its
// cause.
func normalize(n *op.Normalize, next step) (step, error) {
	if n.Final {
		return nil, uncovered("the present rows of a table")
	}
	s := n.Input.Schema()
	kept := map[string][]any{}
	return func(rows []row) error {
		var out []row
		for _, r := range rows {
			key := identity(pick(r.vals, n.Key))
			if old, ok := kept[key]; ok {
				vals := append([]any(nil), old...)
				for _, c := range []int{s.Time, s.Clock} {
					if c >= 0 {
						vals[c] = r.vals[c]
					}
				}
				weight := flow.Before
				if r.op.Gone() {
					weight = flow.Retract
				}
				out = append(out, row{vals, weight})
			}
			if r.op.Gone() {
				delete(kept, key)
				continue
			}
			kept[key] = r.vals
			out = append(out, row{r.vals, flow.Insert})
		}
		return give(next, out)
	}, nil
}

// memo replaces the values of a retracted row with those of its insertion.
func memo(n *op.Memo, next step) step {
	kept := map[string][]any{}
	return func(rows []row) error {
		out := make([]row, len(rows))
		for i, r := range rows {
			out[i] = row{append([]any(nil), r.vals...), r.op}
			key := identity(pick(r.vals, n.Key))
			if !r.op.Gone() {
				kept[key] = pick(r.vals, n.Columns)
				continue
			}
			for j, v := range kept[key] {
				out[i].vals[n.Columns[j]] = v
			}
			delete(kept, key)
		}
		return next(out)
	}
}

func pick(vals []any, cols []int) []any {
	out := make([]any, len(cols))
	for i, c := range cols {
		out[i] = vals[c]
	}
	return out
}

// exchange sends each row separately to the partition of its key.
func (t *task) exchange(n *op.Exchange) step {
	s := n.Schema()
	return func(rows []row) error {
		for _, r := range rows {
			var key []byte
			for _, k := range n.Keys {
				key = state.AppendKey(key, flow.Column(s.Field(k).Type, r.vals[k]), 0)
			}
			weight := flow.Insert
			if r.op.Gone() {
				weight = flow.Retract
			}
			p := topic.Partition{Topic: n.Topic, ID: partitionOf(key, n.Partitions)}
			t.sent[p] = append(t.sent[p], row{r.vals, weight})
		}
		return nil
	}
}

// check returns an error for expressions that eval does not support.
func check(list ...expr.Expr) error {
	for _, e := range list {
		var err error
		expr.Walk(e, func(e expr.Expr) {
			switch e := e.(type) {
			case *expr.Column, *expr.Literal, *expr.Arith, *expr.Cast, *expr.Compare, *expr.Case, *expr.In, *expr.Logic,
				*expr.Not,
				*expr.IsNull, *expr.Like, *expr.Millis, *expr.Field, *expr.Index, *expr.Make:
			case *expr.Lambda:
				if inner := check(e.Bodies...); inner != nil {
					err = inner
				}
			case *expr.Call:
				if e.Sig.Volatile {
					err = uncovered("function %s", e.Name)
				}
			default:
				err = uncovered("expression %T", e)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
