package streamql

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

func (e *Engine) insertSelect(ctx context.Context, st *lang.Insert, args []any) (*Result, error) {
	for _, j := range e.jobs {
		if e.repeats && !e.replaying && j.kind == "INSERT" && j.statement == st.Text() {
			return &Result{Message: "job " + j.name + " does this already", Job: j.name}, nil
		}
	}
	name := e.jobName("INSERTQUERY", st.Into.Text)
	plan, err := planner.Insert(st, name, e.planning(ctx, args))
	if err != nil {
		return nil, err
	}
	return e.launch(ctx, &job{name: name, kind: "INSERT", statement: st.Text(), fills: plan.Result.Name}, plan.Stages, func() error { return nil }, "insert into "+plan.Result.Name)
}

func (e *Engine) insertValues(ctx context.Context, st *lang.Insert, args []any) (*Result, error) {
	r, rows, err := planner.Values(st, e.planning(ctx, args))
	if err != nil {
		return nil, err
	}
	var key format.Codec
	if len(r.Key.Fields) > 0 {
		if key, err = format.New(r.Key); err != nil {
			return nil, err
		}
	}
	value, err := format.New(r.Value)
	if err != nil {
		return nil, err
	}
	txn, err := e.broker.Begin(ctx, "insert."+e.instance)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		p, rec, err := planner.Encode(r, row, key, value)
		if err == nil {
			if row.Time == nil {
				rec.Time = e.now().UnixMilli()
			}
			err = txn.Write(p, rec)
		}
		if err != nil {
			return nil, errors.Join(err, txn.Abort(ctx))
		}
	}
	if err := txn.Commit(ctx, nil); err != nil {
		return nil, err
	}
	return &Result{Message: fmt.Sprintf("%d rows inserted into %s", len(rows), r.Name)}, nil
}
