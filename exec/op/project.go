package op

import (
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Project computes columns from columns. Out has their names; its key, event time and stream time
// refer to the new columns.
type Project struct {
	Input exec.Node
	Exprs []expr.Expr
	Out   *flow.Schema
}

// Schema implements exec.Node.
func (p *Project) Schema() *flow.Schema { return p.Out }

// Inputs implements exec.Node.
func (p *Project) Inputs() []exec.Node { return []exec.Node{p.Input} }

// Rewire implements exec.Node.
func (p *Project) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := &Project{Input: in[0], Out: p.Out, Exprs: make([]expr.Expr, len(p.Exprs))}
	for i, e := range p.Exprs {
		out.Exprs[i] = Rewire(e, 0, move)
	}
	return out
}

// Narrow implements Narrower.
func (p *Project) Narrow(want func(column int) bool) exec.Node {
	out := &Project{Input: p.Input}
	var at []int
	out.Out, at = narrowed(p.Out, want)
	for _, i := range at {
		out.Exprs = append(out.Exprs, p.Exprs[i])
	}
	return out
}

// Under implements Sieve. A condition on constants and on columns that pass unchanged is a
// condition on the input.
func (p *Project) Under(c expr.Expr) ([]expr.Expr, bool) {
	ok := true
	under := expr.Substitute(c, func(col *expr.Column) expr.Expr {
		x := p.Exprs[p.Out.Position(col.Index)]
		switch x.(type) {
		case *expr.Column, *expr.Literal:
			return x
		}
		ok = false
		return col
	})
	return []expr.Expr{under}, ok
}

// Extend returns a projection that passes all columns of a node and appends expressions, with their names and identities.
func Extend(in exec.Node, exprs []expr.Expr, names []string, ids []int) *Project {
	s := in.Schema()
	p := &Project{Input: in}
	for i, f := range s.Fields() {
		p.Exprs = append(p.Exprs, &expr.Column{Index: s.ID(i), Name: f.Name, T: f.Type})
	}
	more := make([]arrow.Field, len(exprs))
	for i, e := range exprs {
		more[i] = flow.Field(names[i], e.Type())
	}
	p.Exprs, p.Out = append(p.Exprs, exprs...), appended(s, more, ids)
	return p
}

// String implements exec.Node.
func (p *Project) String() string {
	parts := make([]string, len(p.Exprs))
	for i, e := range p.Exprs {
		parts[i] = e.String()
		if name := p.Out.Field(i).Name; name != parts[i] {
			parts[i] += " AS " + name
		}
	}
	return "Project " + strings.Join(parts, ", ")
}

// Open implements exec.Node.
func (p *Project) Open(ctx *exec.Context) (exec.Operator, error) {
	return &project{Project: p, env: ctx.Evaluation("SELECT")}, nil
}

type project struct {
	*Project
	env udf.Env
}

// Process implements exec.Operator.
func (p *project) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	before := p.env.Account.Used()
	cols := make([]arrow.Array, len(p.Exprs))
	for i, e := range p.Exprs {
		cols[i] = expr.Eval(e, in, p.env)
	}
	return pass(p.env.Account, before, in.With(p.Out, cols), emit)
}
