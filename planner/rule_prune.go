package planner

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
)

// columns is a set of column numbers of a node.
type columns map[int]bool

func everything(n exec.Node) columns {
	out := columns{}
	for i := range n.Schema().Fields() {
		out[i] = true
	}
	return out
}

func (c columns) add(list ...int) {
	for _, i := range list {
		if i >= 0 {
			c[i] = true
		}
	}
}

func (c columns) uses(exprs ...expr.Expr) {
	for _, x := range exprs {
		expr.Walk(x, func(e expr.Expr) {
			if col, ok := e.(*expr.Column); ok {
				c[col.Index] = true
			}
		})
	}
}

// prune removes the columns that nothing above a node needs, in place, so that a scan decodes only what is used. It returns where
// each old column now stands, -1 for those that went.
func prune(n exec.Node, need columns) []int {
	switch n := n.(type) {
	case *op.Scan:
		return pruneScan(n, need)
	case *op.Filter:
		need.uses(n.Predicate)
		to := prune(n.Input, need)
		n.Predicate = moved(n.Predicate, to)
		return to
	case *op.Project:
		return pruneProject(n, need)
	case *op.Limit:
		return prune(n.Input, need)
	case *op.Sort:
		for _, k := range n.Keys {
			need.uses(k.Expr)
		}
		to := prune(n.Input, need)
		for i := range n.Keys {
			n.Keys[i].Expr = moved(n.Keys[i].Expr, to)
		}
		return to
	case *op.Aggregate:
		return pruneAggregate(n)
	case *op.Normalize:
		need.add(n.Key...)
		to := prune(n.Input, need)
		n.Key = movedAll(n.Key, to)
		return to
	case *op.Sink:
		need = columns{}
		need.add(n.KeyCols...)
		need.add(n.ValueCols...)
		need.add(n.Window...)
		need.add(n.Keep...)
		need.add(n.Headers)
		need.add(n.Input.Schema().Time)
		to := prune(n.Input, need)
		n.KeyCols, n.ValueCols, n.Window, n.Keep = movedAll(n.KeyCols, to), movedAll(n.ValueCols, to), movedAll(n.Window, to), movedAll(n.Keep, to)
		if n.Headers >= 0 {
			n.Headers = to[n.Headers]
		}
		return to
	case *op.Exchange:
		need.add(n.Keys...)
		need.add(n.Schema().Time)
		to := prune(n.Input, need)
		n.Keys = movedAll(n.Keys, to)
		return to
	case *op.Predict:
		return prunePredict(n, need)
	case *op.Memo:
		return pruneMemo(n, need)
	case *op.Explode:
		return pruneExplode(n, need)
	case *op.Train:
		return pruneTrain(n)
	}
	return same(len(n.Schema().Fields()))
}

func same(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func moved(e expr.Expr, to []int) expr.Expr {
	return expr.Map(e, func(e expr.Expr) expr.Expr {
		if c, ok := e.(*expr.Column); ok {
			return &expr.Column{Index: to[c.Index], Name: c.Name, T: c.T}
		}
		return e
	})
}

func movedAll(list []int, to []int) []int {
	if list == nil {
		return nil
	}
	out := make([]int, len(list))
	for i, c := range list {
		out[i] = to[c]
	}
	return out
}

// keep lists the needed columns of a schema in order and where each old one goes.
func keep(s *flow.Schema, need columns) (fields []arrow.Field, from, to []int) {
	for i, f := range s.Fields() {
		if !need[i] {
			to = append(to, -1)
			continue
		}
		to = append(to, len(fields))
		from = append(from, i)
		fields = append(fields, f)
	}
	return fields, from, to
}

// reschema makes the schema of the kept columns: key, time and clock move along.
func reschema(old *flow.Schema, fields []arrow.Field, to []int) *flow.Schema {
	s := flow.NewSchema(fields)
	s.Time, s.Clock, s.Key = -1, -1, nil
	if old.Time >= 0 {
		s.Time = to[old.Time]
	}
	if old.Clock >= 0 {
		s.Clock = to[old.Clock]
	}
	for _, k := range old.Key {
		if to[k] >= 0 {
			s.Key = append(s.Key, to[k])
		}
	}
	return s
}

func pruneScan(n *op.Scan, need columns) []int {
	need.add(n.Out.Time) // the task's clock runs by it
	if n.Table {
		need.add(n.Out.Key...)
	}
	if n.Time != nil {
		need.uses(n.Time)
	}
	fields, from, to := keep(n.Out, need)
	cols := make([]op.ScanColumn, len(from))
	for i, f := range from {
		cols[i] = n.Columns[f]
	}
	n.Out, n.Columns = reschema(n.Out, fields, to), cols
	if n.Time != nil {
		n.Time = moved(n.Time, to)
	}
	return to
}

func pruneProject(n *op.Project, need columns) []int {
	fields, from, to := keep(n.Out, need)
	exprs := make([]expr.Expr, len(from))
	below := columns{}
	for i, f := range from {
		exprs[i] = n.Exprs[f]
		below.uses(exprs[i])
	}
	down := prune(n.Input, below)
	for i := range exprs {
		exprs[i] = moved(exprs[i], down)
	}
	n.Exprs, n.Out = exprs, reschema(n.Out, fields, to)
	return to
}

func pruneAggregate(n *op.Aggregate) []int {
	need := columns{}
	need.add(n.Keys...)
	for _, c := range n.Calls {
		need.add(c.Args...)
	}
	s := n.Input.Schema()
	need.add(s.Time)
	if n.Window != nil || n.Out.Clock >= 0 {
		need.add(s.Clock)
	}
	to := prune(n.Input, need)
	n.Keys = movedAll(n.Keys, to)
	for i := range n.Calls {
		n.Calls[i].Args = movedAll(n.Calls[i].Args, to)
	}
	return same(len(n.Out.Fields()))
}

func pruneTrain(n *op.Train) []int {
	need := columns{}
	need.add(n.Columns...)
	need.add(n.Target, n.Weight, n.Input.Schema().Time)
	if n.Window != nil {
		need.add(n.Input.Schema().Clock)
	}
	to := prune(n.Input, need)
	n.Columns = movedAll(n.Columns, to)
	if n.Target >= 0 {
		n.Target = to[n.Target]
	}
	if n.Weight >= 0 {
		n.Weight = to[n.Weight]
	}
	return to
}
