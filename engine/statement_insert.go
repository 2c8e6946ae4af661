package engine

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

// INSERT INTO. With VALUES it appends rows in one transaction; with a query it defines a job.
var _ = declare(statement[*lang.Insert]{
	role: Writer,
	answer: func(ctx context.Context, s *Session, st *lang.Insert, args []any) (*Result, error) {
		if st.Query == nil {
			return s.insertValues(ctx, st, args)
		}
		return s.define(ctx, args, func(in *decide.Input) (*decide.Decision, error) {
			return s.engine.decider.Insert(st, in)
		})
	},
	plan: func(st *lang.Insert, o planner.Options) ([]planner.Stage, error) {
		p, err := planner.Insert(st, "EXPLAIN", o)
		if err != nil {
			return nil, err
		}
		return p.Stages, nil
	},
})

// insertValues appends the rows of INSERT INTO .. VALUES.
func (s *Session) insertValues(ctx context.Context, st *lang.Insert, args []any) (*Result, error) {
	e, in := s.engine, s.input(ctx, args)
	o := e.decider.Options(in)
	o.Memory = e.memory
	r, rows, err := planner.Values(st, o)
	if err != nil {
		return nil, err
	}
	records, err := e.encode(ctx, r, rows)
	if err != nil {
		return nil, err
	}
	err = e.write(ctx, func(txn topic.Txn) error {
		for _, rec := range records {
			if err := txn.Write(rec.to, rec.Record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Result{Message: fmt.Sprintf("%d rows inserted into %s", len(rows), r.Name)}, nil
}

// placed is a record and its partition.
type placed struct {
	to topic.Partition
	topic.Record
}

// encode converts rows to records and selects their partitions. A row without ROWTIME gets the present time.
func (e *Engine) encode(ctx context.Context, r *catalog.Relation, rows []planner.Row) (out []placed, err error) {
	var key format.Codec
	if len(r.Key.Fields) > 0 {
		if key, err = e.formats.New(ctx, r.Key, r.Topic+"-key"); err != nil {
			return nil, err
		}
	}
	value, err := e.formats.New(ctx, r.Value, r.Topic+"-value")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		p, rec, err := op.Encode(r, row.Columns, row.Time, key, value)
		if err != nil {
			return nil, err
		}
		if row.Time == nil {
			rec.Time = e.c.Now().UnixMilli()
		}
		out = append(out, placed{p, rec})
	}
	return out, nil
}
