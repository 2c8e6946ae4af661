package streamql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

const variable = "variable."

func cutVariable(property string) (string, bool) { return strings.CutPrefix(property, variable) }

// properties that SET knows beside ksqlDB's own (ksql.*), which are kept and mostly without effect.
var known4set = []string{"auto.offset.reset", "sql.identifiers", "emit.changes", guarantee}

// What a job promises: exactly once, unless at least once was set when it was made. The embedded broker always gives the first.
const (
	guarantee   = "processing.guarantee"
	atLeastOnce = "at_least_once"
)

func (e *Engine) set(st *lang.Set) (*Result, error) {
	name := strings.ToLower(st.Key.Value)
	value, err := planner.Literal(st.Value)
	if err != nil {
		return nil, err
	}
	legal := strings.HasPrefix(name, "ksql.") || strings.Contains(name, ".streams.")
	for _, k := range known4set {
		legal = legal || k == name
	}
	if !legal {
		err := &Error{Code: "SQ1102", Stage: lang.StagePlan, Pos: st.Key.Position(), Len: len(name) + 2, Msg: fmt.Sprintf("there is no property %q", name)}
		if near := lang.Suggest(name, known4set); near != "" {
			err.Label = "did you mean '" + near + "'?"
		}
		return nil, err
	}
	if name == "auto.offset.reset" && value != "earliest" && value != "latest" {
		return nil, &Error{Code: "SQ1103", Stage: lang.StagePlan, Pos: st.Value.Position(), Len: 1, Msg: "auto.offset.reset is 'earliest' or 'latest'"}
	}
	if name == guarantee && value != atLeastOnce && !strings.HasPrefix(value, "exactly_once") {
		return nil, &Error{Code: "SQ1103", Stage: lang.StagePlan, Pos: st.Value.Position(), Len: 1, Msg: guarantee + " is 'exactly_once' or '" + atLeastOnce + "'"}
	}
	if name == "emit.changes" && value != "row" {
		return nil, &Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Value.Position(), Len: 1, Msg: fmt.Sprintf("%s = %q is not supported yet", name, value)}
	}
	if f, n, ok := functionLimit(name, value); ok {
		e.functions.SetLimit(f, n)
	}
	e.properties[name] = value
	return &Result{Message: name + " = " + value}, nil
}

// functionLimit reads ksql.functions.collect_list.limit and its kin.
func functionLimit(property, value string) (function string, limit int, ok bool) {
	rest, ok1 := strings.CutPrefix(property, "ksql.functions.")
	f, ok2 := strings.CutSuffix(rest, ".limit")
	n, err := strconv.Atoi(value)
	return f, n, ok1 && ok2 && err == nil
}

func (e *Engine) control(ctx context.Context, st *lang.Control) (*Result, error) {
	if st.Verb != "TERMINATE" || st.Training {
		return nil, &Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: string(st.Verb) + " is not supported yet"}
	}
	var names []string
	if st.All {
		names = append(names, e.order...)
	} else {
		for _, n := range e.order {
			if strings.EqualFold(n, st.Job.Text) {
				names = append(names, n)
			}
		}
		if len(names) == 0 {
			err := &Error{Code: "SQ2023", Stage: lang.StagePlan, Pos: st.Job.Position(), Len: len(st.Job.Text), Msg: fmt.Sprintf("there is no job %q", st.Job.Text)}
			if near := lang.Suggest(st.Job.Text, e.order); near != "" {
				err.Label = "did you mean " + near + "?"
			}
			return nil, err
		}
	}
	for _, n := range names {
		if err := e.remember(ctx, record{Terminated: n}); err != nil {
			return nil, err
		}
		if err := e.endJob(ctx, e.jobs[n]); err != nil {
			return nil, err
		}
	}
	return &Result{Message: fmt.Sprintf("terminated %s", strings.Join(names, ", "))}, nil
}
