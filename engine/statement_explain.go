package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// EXPLAIN of a statement or of a job.
var _ = declare(statement[*lang.Explain]{
	role: Reader,
	answer: func(ctx context.Context, s *Session, st *lang.Explain, args []any) (*Result, error) {
		return batchOf(s.explain(ctx, st, args))
	},
})

// explain returns the operators of each stage, with inputs indented, and the offsets that they read.
func (s *Session) explain(ctx context.Context, st *lang.Explain, args []any) (*flow.Batch, error) {
	e := s.engine
	if st.Statement == nil {
		return s.explainJob(st)
	}
	in := s.input(ctx, args)
	plan, weak, err := e.planOf(st.Statement, in)
	if err != nil {
		return nil, err
	}
	return inspect.Plan(plan, e.promise(weak), func(_ int, l planner.Leaf) ([]string, error) {
		if l.Relation == nil {
			return nil, nil // the topic of an exchange does not exist before the job
		}
		spans, err := in.Facts.Spans(l)
		if errors.Is(err, topic.ErrUnknownTopic) {
			err = fmt.Errorf("%s: %w", l.Relation.Name, err)
		}
		return reads(l, spans), err
	})
}

// explainJob explains a job by the plan and the start offsets of its definition.
func (s *Session) explainJob(st *lang.Explain) (*flow.Batch, error) {
	e := s.engine
	j, ok := e.Catalog().Job(st.Query.Text)
	if !ok {
		return nil, decide.NoJob(e.Catalog(), s.settings.Load(), *st.Query)
	}
	plan, err := e.decider.Again(j, e.Catalog())
	if err != nil {
		return nil, err
	}
	k := 0
	return inspect.Plan(plan, e.promise(j.Guarantee == decide.AtLeastOnce), func(_ int, l planner.Leaf) ([]string, error) {
		k++
		if k > len(j.Spans) {
			return nil, nil
		}
		return reads(l, j.Spans[k-1]), nil
	})
}

// reads describes the spans of a scan, one line each.
func reads(l planner.Leaf, spans []topic.Span) (out []string) {
	tier := "broker"
	if l.Relation != nil && !l.Relation.AtBroker() {
		tier = l.Relation.Connector
	}
	for _, sp := range spans {
		to := "and on"
		if sp.To < 1<<62 {
			to = fmt.Sprintf("to %d", sp.To)
		}
		out = append(out, fmt.Sprintf("  reads %s from offset %d %s (%s)", sp.Partition, sp.From, to, tier))
	}
	return out
}

// promise describes the delivery guarantee of a job; it is empty for exactly-once.
func (e *Engine) promise(weak bool) string {
	if !weak || !e.shared() {
		return ""
	}
	return "Guarantee at_least_once: rows may be duplicated after a failure"
}

// planOf plans a statement without running it. weak reports whether a job of the statement would run at-least-once.
func (e *Engine) planOf(st lang.Statement, in *decide.Input) (plan []planner.Stage, weak bool, err error) {
	w, err := wayOf(st)
	if err != nil {
		return nil, false, err
	}
	t := st.Traits()
	if !t.Plan {
		return nil, false, &lang.Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 1,
			Msg: "this statement has no plan"}
	}
	plan, err = w.plan(st, e.decider.Options(in))
	return plan, t.Effect == lang.Defines && in.Session.Properties[decide.Guarantee] == decide.AtLeastOnce, err
}
