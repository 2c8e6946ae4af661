package op

import (
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
)

// Project computes columns from columns. Out names them; its key, time and clock refer to the new columns.
type Project struct {
	Input exec.Node
	Exprs []expr.Expr
	Out   *flow.Schema
}

func (p *Project) Schema() *flow.Schema { return p.Out }
func (p *Project) Inputs() []exec.Node  { return []exec.Node{p.Input} }
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

func (p *Project) Open(ctx *exec.Context) (exec.Operator, error) {
	return &project{Project: p, env: ctx.Evaluation("SELECT")}, nil
}

type project struct {
	*Project
	env udf.Env
}

func (p *project) Process(_ int, in *flow.Batch, emit exec.Emit) error {
	before := p.env.Account.Used()
	cols := make([]arrow.Array, len(p.Exprs))
	for i, e := range p.Exprs {
		cols[i] = expr.Eval(e, in, p.env)
	}
	return pass(p.env.Account, before, in.With(p.Out, cols), emit)
}
