package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/generate"
)

// madeRows contains generated rows and their event times.
type madeRows struct {
	record arrow.Record
	times  []int64
}

// made passes batches of rows to take until the requested number is reached or the command is interrupted.
func made(w *world, c *genCmd, src *generate.Source, take func(madeRows) error) error {
	begun := time.Now()
	for row := int64(0); c.Rows <= 0 || row < c.Rows; {
		n := int64(batchRows)
		if c.Rows > 0 {
			n = min(n, c.Rows-row)
		}
		if c.Rate > 0 {
			n = max(1, min(n, int64(c.Rate/10)))
			due := begun.Add(time.Duration(float64(row) / c.Rate * float64(time.Second)))
			select {
			case <-time.After(time.Until(due)):
			case <-w.ctx.Done():
			}
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		record, times := src.Make(row, int(n))
		if err := take(madeRows{record, times}); err != nil {
			return err
		}
		row += n
	}
	return nil
}

// producer writes rows as records of a topic, in the format of format='json': the first column is the key,
// the others are an object.
type producer struct {
	broker     topic.Broker
	topic      string
	partitions int32
	key, value format.Codec
	n          int64
}

// newProducer creates the topic if it does not exist.
func newProducer(ctx context.Context, e *streamql.Engine, name string, fields []arrow.Field,
	partitions int32) (*producer, error) {
	p := &producer{broker: e.Broker(), topic: name}
	if admin, ok := p.broker.(topic.Admin); ok {
		err := admin.Create(ctx, name, topic.Config{Partitions: partitions, RetentionMs: -1})
		if err != nil && !errors.Is(err, topic.ErrTopicExists) {
			return nil, err
		}
	}
	d, err := p.broker.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	p.partitions = int32(len(d.Partitions))
	if p.key, err = format.New(format.Spec{Name: "JSON", Fields: fields[:1], Unwrapped: true}); err != nil {
		return nil, fmt.Errorf("the first column, %s, cannot be encoded as a key: %w", fields[0].Name, err)
	}
	p.value, err = format.New(format.Spec{Name: "JSON", Fields: fields[1:]})
	return p, err
}

// write writes rows in one transaction. If raw is given, it also writes these values as records of partition
// 0.
func (p *producer) write(ctx context.Context, rows arrow.Record, times []int64, raw ...topic.Record) error {
	txn, err := p.broker.Begin(ctx, "streamql.produce."+p.topic)
	if err != nil {
		return err
	}
	if err := p.fill(txn, rows, times, raw); err != nil {
		return errors.Join(err, txn.Abort(ctx))
	}
	p.n += rows.NumRows()
	return txn.Commit(ctx, nil)
}

func (p *producer) fill(txn topic.Txn, rows arrow.Record, times []int64, raw []topic.Record) error {
	cols := rows.Columns()
	lists := make([][]topic.Record, p.partitions)
	for i := range int(rows.NumRows()) {
		key, err := p.key.Encode(nil, cols[:1], i)
		if err != nil {
			return err
		}
		value, err := p.value.Encode(nil, cols[1:], i)
		if err != nil {
			return err
		}
		id := op.PartitionOf(key, p.partitions)
		lists[id] = append(lists[id], topic.Record{Key: key, Value: value, Time: times[i]})
	}
	lists[0] = append(lists[0], raw...)
	for id, list := range lists {
		if len(list) == 0 {
			continue
		}
		if err := txn.Write(topic.Partition{Topic: p.topic, ID: int32(id)}, list...); err != nil {
			return err
		}
	}
	return nil
}
