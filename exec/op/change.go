package op

import (
	"fmt"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
)

// Changer is a node whose operator determines by itself which rows it retracts. Aggregates below it emit their old
// rows, because it reads all columns of a retraction. Every other node passes the retractions of its inputs.
type Changer interface {
	exec.Node
	// Retracts reports whether the operator may retract rows.
	Retracts() bool
	// Identity returns the columns that identify a row of the node. It is called only if Retracts reports true.
	Identity() Identity
}

// Identity is the set of columns that identify a row. With Window the first of them is the end of a window, and a row
// may change until stream time is Lasts ms after that end.
type Identity struct {
	Columns []int
	Window  bool
	Lasts   int64
}

// Retracts reports whether a node may retract rows.
func Retracts(n exec.Node) bool {
	if c, ok := n.(Changer); ok {
		return c.Retracts()
	}
	return slices.ContainsFunc(n.Inputs(), Retracts)
}

// Identify returns the identity of the rows of a node that retracts. The binder ensures that every node above a
// Changer passes these columns.
func Identify(n exec.Node) Identity {
	switch n := n.(type) {
	case Changer:
		return n.Identity()
	case *Project:
		id := Identify(n.Input)
		out := Identity{Window: id.Window, Lasts: id.Lasts}
		for _, c := range id.Columns {
			out.Columns = append(out.Columns, n.passed(c))
		}
		return out
	}
	in := n.Inputs()
	if len(in) != 1 {
		panic(fmt.Sprintf("op: %s retracts rows that no columns identify", n))
	}
	return Identify(in[0])
}

// passed returns the column that passes a column of the input.
func (p *Project) passed(c int) int {
	for i, e := range p.Exprs {
		if col, ok := e.(*expr.Column); ok && col.Index == c {
			return p.Out.ID(i)
		}
	}
	panic(fmt.Sprintf("op: %s does not pass column %d of its input", p, c))
}

// Retracts implements Changer.
func (n *Normalize) Retracts() bool { return !n.Final }

// Identity implements Changer.
func (n *Normalize) Identity() Identity { return Identity{Columns: n.Key} }

// Retracts implements Changer.
func (a *Aggregate) Retracts() bool {
	session := a.Window != nil && a.Window.Gap > 0
	return a.Emit == EmitChanges && (a.Retract || session)
}

// Identity implements Changer.
func (a *Aggregate) Identity() Identity {
	var id Identity
	if w := a.Window; w != nil {
		id.Window, id.Lasts = true, w.Grace+w.Gap
		id.Columns = append(id.Columns, a.Out.ID(len(a.Keys)+1), a.Out.ID(len(a.Keys)))
	}
	for i := range a.Keys {
		id.Columns = append(id.Columns, a.Out.ID(i))
	}
	return id
}
