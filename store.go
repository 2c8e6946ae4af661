package streamql

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	Done       string         `json:"done,omitempty"`      // a bounded job that has ended
	Error      string         `json:"error,omitempty"`     // why it failed, if it did
	Guarantee  string         `json:"guarantee,omitempty"` // of the job, if it is not the default
	ID         string         `json:"id,omitempty"`
	Ksql       bool           `json:"ksql,omitempty"` // the dialect it was written in
	Upper      bool           `json:"upper,omitempty"`
	Next       int            `json:"next"` // number of the next job
}

// journal is the engine's place in the catalog topic. On Kafka several processes write there. A statement that defines is decided so: begin
// a transaction, which fences everybody who began before; apply what others have written; plan; write; commit. Whoever was overtaken
// meanwhile fails to commit and begins again. What a statement does, it does behind that commit.
type journal struct {
	next topic.Offset    // the first offset that is not applied
	mine map[string]bool // records of ours that have not been met in the topic
	last string          // the id of the newest of ours
	txn  topic.Txn       // of the statement under decision
}

// remember appends a record to the catalog topic, unless it comes from there.
func (e *Engine) remember(ctx context.Context, r record) error {
	if e.replaying {
		return nil
	}
	r.Ksql, r.Upper, r.Next = e.ksql, e.properties["sql.identifiers"] == "upper", e.next
	r.ID = rand.Text()
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	txn := e.journal.txn
	e.journal.txn = nil
	if txn == nil {
		if txn, err = e.broker.Begin(ctx, catalogTopic); err != nil {
			return err
		}
	}
	if err := txn.Write(topic.Partition{Topic: e.own(catalogTopic)}, topic.Record{Value: value, Time: e.now().UnixMilli()}); err != nil {
		return errors.Join(err, txn.Abort(ctx))
	}
	e.journal.last = r.ID
	e.journal.mine[r.ID] = true
	if err := txn.Commit(ctx, nil); err != nil {
		delete(e.journal.mine, r.ID)
		return err
	}
	return nil
}

// decide runs a statement. On Kafka it is run against the catalog as it is now, and a definition in its turn among all processes'.
func (e *Engine) decide(ctx context.Context, st lang.Statement, args []any) (*Result, error) {
	if !e.shared() {
		return e.run(ctx, st, args)
	}
	for {
		before := e.journal.last
		r, err := e.inTurn(ctx, defines(st), func() (*Result, error) { return e.run(ctx, st, args) })
		ours := e.journal.last
		switch {
		case errors.Is(err, topic.ErrLost) && ours != before: // it may have been written or not: the topic tells
			if err := e.catchUp(ctx); err != nil {
				return nil, err
			}
			if e.journal.mine[ours] {
				delete(e.journal.mine, ours)
				return &Result{Message: "done"}, nil
			}
		case !errors.Is(err, topic.ErrFenced):
			return r, err // also rows of INSERT VALUES of which nobody knows: to insert them again could double them
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// inTurn runs f with all that others have defined applied; defining: nobody else's definition comes between that and f's.
func (e *Engine) inTurn(ctx context.Context, defining bool, f func() (*Result, error)) (r *Result, err error) {
	if defining {
		if e.journal.txn, err = e.broker.Begin(ctx, catalogTopic); err != nil {
			return nil, err
		}
	}
	defer func() {
		if txn := e.journal.txn; txn != nil {
			e.journal.txn = nil
			_ = txn.Abort(context.WithoutCancel(ctx)) // nothing was written
		}
	}()
	if err := e.lookUp(ctx, defining); err != nil {
		return nil, err
	}
	return f()
}

// lookTime is how long a statement that defines nothing waits for the newest catalog. While brokers are away it must be possible to see
// what the jobs do.
const lookTime = 2 * time.Second

func (e *Engine) lookUp(ctx context.Context, must bool) error {
	if must {
		return e.catchUp(ctx)
	}
	short, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := e.catchUp(short)
	if err != nil && ctx.Err() == nil && (short.Err() != nil || errors.Is(err, topic.ErrUnreachable)) {
		return nil // the catalog as it is known here
	}
	return err
}

// defines reports whether a statement changes the catalog.
func defines(st lang.Statement) bool {
	switch st := st.(type) {
	case *lang.CreateSource, *lang.CreateType, *lang.Drop, *lang.CreateModel, *lang.RetrainModel, *lang.DropModel, *lang.Control:
		return true
	case *lang.Insert:
		return st.Query != nil
	}
	return false
}

// replay brings the catalog back as it was and starts the jobs that had not ended.
func (e *Engine) replay(ctx context.Context) error {
	e.journal.mine = map[string]bool{}
	if err := e.catchUp(ctx); err != nil {
		return err
	}
	if e.shared() {
		span := topic.Span{Partition: topic.Partition{Topic: e.own(catalogTopic)}, From: e.journal.next, To: topic.End}
		e.background.Go(func() {
			e.follow(e.ctx, span, func() error {
				e.mu.Lock()
				defer e.mu.Unlock()
				ctx, cancel := context.WithTimeout(e.ctx, lookTime) // the lock is not held for longer
				defer cancel()
				return e.catchUp(ctx)
			})
		})
	}
	return nil
}

// catchUp applies what the catalog topic holds beyond the engine's place, and starts the jobs that this brought.
func (e *Engine) catchUp(ctx context.Context) error {
	name := e.own(catalogTopic)
	d, err := e.broker.Describe(ctx, name)
	if err != nil {
		return err
	}
	span := d.Partitions[0]
	atStart := e.journal.next == 0
	span.From = max(span.From, e.journal.next)
	if span.From >= span.To {
		return nil
	}
	records, err := readSpan(ctx, e.broker, span)
	if err != nil {
		return err
	}
	e.journal.next = span.To
	for i, raw := range records {
		err := e.apply(ctx, raw)
		if err != nil {
			err = fmt.Errorf("record %d of topic %s: %w", i, name, err)
		}
		if err != nil && atStart {
			return err
		}
		if err != nil && e.warn != nil { // another process has defined what this one cannot
			e.warn(wrap(err, nil).(*Error))
		}
	}
	e.startJobs()
	return nil
}

// apply does what a record of the catalog topic says.
func (e *Engine) apply(ctx context.Context, raw topic.Record) error {
	var r record
	if err := json.Unmarshal(raw.Value, &r); err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	if e.journal.mine[r.ID] && r.ID != "" {
		delete(e.journal.mine, r.ID)
		return nil
	}
	if r.ID == e.journal.last && r.ID != "" {
		e.journal.mine[r.ID] = true // it was doubtful whether it would be here
	}
	ksql, properties := e.ksql, e.properties
	e.replaying = true
	defer func() { e.replaying, e.ksql, e.properties = false, ksql, properties }()
	return e.replayRecord(ctx, r)
}

// startJobs starts the jobs that are there and do not run.
func (e *Engine) startJobs() {
	if e.manual || e.idle {
		return
	}
	for _, name := range e.order {
		if j := e.jobs[name]; !j.done && !j.started && j.run != nil {
			e.startJob(j)
			e.watch(j)
		}
	}
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
			j.over(r.Error)
			if j.started { // another process has done the work
				return j.end()
			}
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
	if r.Guarantee != "" {
		e.guarantees[r.Job] = r.Guarantee
	}
	_, err = e.run(ctx, statements[0], nil)
	return err
}

func readSpan(ctx context.Context, src topic.Source, spans ...topic.Span) (out []topic.Record, err error) {
	err = topic.Each(ctx, src, spans, func(f *topic.Fetch, i int) error {
		out = append(out, topic.Record{Key: f.Key.At(i), Value: f.Value.At(i), Time: f.Times[i]})
		return nil
	})
	return out, err
}
