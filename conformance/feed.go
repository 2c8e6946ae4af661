package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/topic"
)

// feed writes inputs and drains the jobs: after all inputs, or after each one.
func (m *machine) feed(ctx context.Context, inputs []Record) error {
	step := len(inputs)
	if m.o.Schedule == "record" {
		step = 1
	}
	for from := 0; from < len(inputs) || from == 0; from += max(step, 1) {
		if err := m.write(ctx, inputs[from:min(from+step, len(inputs))]); err != nil {
			return err
		}
		if err := m.engine.Drain(ctx, m.step); err != nil {
			if ctx.Err() != nil {
				return err
			}
			m.fail(err, m.last, m.c.SQL.Line)
			return nil
		}
	}
	return nil
}

func (m *machine) write(ctx context.Context, inputs []Record) error {
	if len(inputs) == 0 {
		return nil
	}
	broker := m.engine.Broker()
	txn, err := broker.Begin(ctx, "test")
	if err != nil {
		return err
	}
	next := map[topic.Partition]topic.Offset{}
	for i := range inputs {
		p, r, err := m.record(ctx, &inputs[i])
		if err == nil {
			err = m.mark(ctx, p, next)
		}
		if err == nil {
			err = txn.Write(p, r)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("line %d: input: %w", inputs[i].Line, err), txn.Abort(ctx))
		}
		next[p]++
	}
	if err := txn.Commit(ctx, nil); err != nil {
		return err
	}
	for p, to := range next {
		spans := m.wrote[p]
		spans[len(spans)-1].To = to
	}
	return nil
}

// mark stores the offset at which a partition's inputs begin.
func (m *machine) mark(ctx context.Context, p topic.Partition, next map[topic.Partition]topic.Offset) error {
	if _, ok := next[p]; ok {
		return nil
	}
	d, err := m.engine.Broker().Describe(ctx, p.Topic)
	if err != nil {
		return err
	}
	if int(p.ID) >= len(d.Partitions) || p.ID < 0 {
		return fmt.Errorf("topic %s has %d partitions, and no partition %d", p.Topic, len(d.Partitions), p.ID)
	}
	next[p] = d.Partitions[p.ID].To
	m.wrote[p] = append(m.wrote[p], topic.Span{Partition: p, From: next[p]})
	return nil
}

// record encodes an input and chooses its partition as a producer does.
func (m *machine) record(ctx context.Context, in *Record) (topic.Partition, topic.Record, error) {
	d, err := m.ensure(ctx, in.Topic)
	if err != nil {
		return topic.Partition{}, topic.Record{}, err
	}
	return m.encode(in, int32(len(d.Partitions)))
}

// encode encodes an input to a topic with a number of partitions.
func (m *machine) encode(in *Record, partitions int32) (topic.Partition, topic.Record, error) {
	p := topic.Partition{Topic: in.Topic}
	var out topic.Record
	parts := m.parts[in.Topic]
	if parts == nil {
		key, value, _ := m.specs(in.Topic, false)
		parts = &[2]part{{spec: key}, {spec: value}}
		m.parts[in.Topic] = parts
	}
	var err error
	if out.Key = in.KeyBytes; out.Key == nil {
		if out.Key, err = parts[0].encode(in.Key); err != nil {
			return p, out, fmt.Errorf("key: %w", err)
		}
	}
	if out.Value = in.ValueBytes; out.Value == nil {
		if out.Value, err = parts[1].encode(in.Value); err != nil {
			return p, out, fmt.Errorf("value: %w", err)
		}
	}
	if out.Key != nil {
		p.ID = op.PartitionOf(out.Key, partitions)
	}
	if in.Partition != nil {
		p.ID = *in.Partition
	}
	if w := in.Window; w != nil && out.Key != nil {
		if w.Type == "SESSION" {
			out.Key = binary.BigEndian.AppendUint64(out.Key, uint64(w.End))
		}
		out.Key = binary.BigEndian.AppendUint64(out.Key, uint64(w.Start))
	}
	if in.Timestamp != nil {
		out.Time = *in.Timestamp
	}
	for _, h := range in.Headers {
		out.Headers = append(out.Headers, topic.Header{Key: h.Key, Value: h.Value})
	}
	return p, out, nil
}

// ensure describes a topic. It creates the topic if no statement has.
func (m *machine) ensure(ctx context.Context, name string) (topic.Topic, error) {
	d, err := m.engine.Broker().Describe(ctx, name)
	if errors.Is(err, topic.ErrUnknownTopic) {
		if err := m.engine.Broker().(topic.Admin).Create(ctx, name,
			topic.Config{Partitions: 1, RetentionMs: -1}); err != nil {
			return d, err
		}
		return m.engine.Broker().Describe(ctx, name)
	}
	return d, err
}
