package streamql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// record is one entry of the catalog topic: a statement that defines, in the order of statements. Replaying them all gives the
// catalog; a job's record has its name and the offsets at which it began.
type record struct {
	Statement  string         `json:"statement,omitempty"`
	Job        string         `json:"job,omitempty"`
	Spans      [][]topic.Span `json:"spans,omitempty"`
	Terminated string         `json:"terminated,omitempty"`
	Done       string         `json:"done,omitempty"` // a bounded job that has ended
	Ksql       bool           `json:"ksql,omitempty"` // the dialect it was written in
	Upper      bool           `json:"upper,omitempty"`
	Next       int            `json:"next"` // number of the next job
}

// remember appends a record to the catalog topic, unless it comes from there.
func (e *Engine) remember(ctx context.Context, r record) error {
	if e.replaying {
		return nil
	}
	r.Ksql, r.Upper, r.Next = e.ksql, e.properties["sql.identifiers"] == "upper", e.next
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	txn, err := e.broker.Begin(ctx, "streamql.catalog")
	if err != nil {
		return err
	}
	if err := txn.Write(topic.Partition{Topic: catalogTopic}, topic.Record{Value: value, Time: e.now().UnixMilli()}); err != nil {
		return errors.Join(err, txn.Abort(ctx))
	}
	return txn.Commit(ctx, nil)
}

// replay brings the catalog back as it was and starts the jobs that had not ended.
func (e *Engine) replay(ctx context.Context) error {
	records, err := e.readAll(ctx, catalogTopic)
	if err != nil {
		return err
	}
	e.replaying = true
	ksql, properties := e.ksql, e.properties
	defer func() { e.replaying, e.ksql, e.properties = false, ksql, properties }()
	for i, raw := range records {
		var r record
		if err := json.Unmarshal(raw.Value, &r); err != nil {
			return fmt.Errorf("record %d of topic %s cannot be read: %w", i, catalogTopic, err)
		}
		if err := e.replayRecord(ctx, r); err != nil {
			return fmt.Errorf("record %d of topic %s: %w", i, catalogTopic, err)
		}
	}
	if e.manual {
		return nil
	}
	for _, name := range e.order {
		if j := e.jobs[name]; !j.done {
			e.startJob(j)
			e.watch(j)
		}
	}
	return nil
}

func (e *Engine) replayRecord(ctx context.Context, r record) error {
	defer func() { e.next = r.Next }()
	switch {
	case r.Terminated != "":
		if j, ok := e.jobs[r.Terminated]; ok {
			return e.endJob(ctx, j)
		}
		return nil
	case r.Done != "":
		if j, ok := e.jobs[r.Done]; ok {
			j.done = true
		}
		return nil
	}
	e.ksql = r.Ksql
	e.properties = map[string]string{}
	if r.Upper {
		e.properties["sql.identifiers"] = "upper"
	}
	statements, err := lang.Parse(r.Statement)
	if err != nil {
		return err
	}
	e.replayed = r
	_, err = e.run(ctx, statements[0], nil)
	return err
}

// readAll reads a topic of one partition up to where it ends now.
func (e *Engine) readAll(ctx context.Context, name string) ([]topic.Record, error) {
	d, err := e.broker.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	return readSpan(ctx, e.broker, d.Partitions...)
}

func readSpan(ctx context.Context, src topic.Source, spans ...topic.Span) (out []topic.Record, err error) {
	err = topic.Each(ctx, src, spans, func(f *topic.Fetch, i int) error {
		out = append(out, topic.Record{Key: f.Key.At(i), Value: f.Value.At(i), Time: f.Times[i]})
		return nil
	})
	return out, err
}
