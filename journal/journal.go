// Package journal implements the catalog log: a topic with all definitions of an application,
// which all its processes follow. A definition is decided against a snapshot, appended under a
// fence, and applied when it is read back. The package does not depend on the effects of a
// definition: it passes the next snapshot to Config.Apply.
package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/topic"
)

// Config is the environment of a log.
type Config struct {
	Broker interface {
		topic.Source
		topic.Sink
	}
	Topic string // with one partition
	By    string // the name of this process in entries
	Now   func() time.Time
	// Random randomizes the backoff of competing processes.
	Random func() uint64
	// Apply is called with each new snapshot and the entries that led to it, in the order of
	// the log, on the follower's goroutine. It must not block.
	Apply func(next *catalog.Catalog, entries []*catalog.Entry)
	// Warn reports an entry that cannot be applied, and errors of the topic that are being
	// retried.
	Warn func(error)
	// Passing reports whether an error is temporary.
	Passing func(error) bool
	// Patience is how long Decide retries temporary errors; 0: without a limit.
	Patience time.Duration
	// Pause is the delay between two tries to follow the topic, Every the interval between two
	// warnings about the same error.
	Pause, Every time.Duration
}

// transaction is the id under which processes fence each other: the newest Begin wins.
const transaction = "catalog"

// Log is the catalog log as seen by one process. Any goroutine may call its methods. Only the
// goroutine of Load and then Follow replaces the snapshot.
type Log struct {
	c        Config
	snapshot atomic.Pointer[catalog.Catalog]
	turn     chan struct{} // a semaphore, held while an entry is appended

	mu     sync.Mutex // guards the fields below; never held during I/O
	next   topic.Offset
	moved  chan struct{} // closed and replaced when next, failed or over changes
	stuck  error         // the last error that stopped the following and needs intervention
	failed int           // number of such errors
	over   error         // why Follow has returned; nil: it has not
	// ids of this process's entries that may be in the log: true once they were read back
	found map[string]bool
}

// New returns a log that has read nothing yet. base is the catalog before the first entry.
func New(c Config, base *catalog.Catalog) *Log {
	l := &Log{c: c, turn: make(chan struct{}, 1), moved: make(chan struct{}), found: map[string]bool{}}
	l.snapshot.Store(base)
	return l
}

// Load reads the log up to its present end. It must return before Follow is called, and may be
// called again after an error.
func (l *Log) Load(ctx context.Context) error {
	d, err := l.c.Broker.Describe(ctx, l.c.Topic)
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	span := d.Partitions[0]
	if span.From < span.To {
		err = l.read(ctx, span)
	}
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	l.advance(span.To)
	return nil
}

// Snapshot returns the catalog as of the last entry that was applied here. It never blocks.
func (l *Log) Snapshot() *catalog.Catalog { return l.snapshot.Load() }

// read applies the entries of a span.
func (l *Log) read(ctx context.Context, span topic.Span) error {
	var all []topic.Fetch
	r, err := l.c.Broker.Open(ctx, []topic.Span{span})
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		fetches, err := r.Poll(ctx)
		if err != nil {
			if isEOF(err) {
				l.apply(all)
				return nil
			}
			return err
		}
		all = append(all, fetches...)
	}
}

// Follow applies the entries that this or another process appends, until ctx ends. Its
// goroutine is the only writer of the snapshot. After it has returned, no entry arrives any more,
// and calls that wait for one return an error.
func (l *Log) Follow(ctx context.Context) {
	defer func() { l.end(ctx.Err()) }()
	for warned := (time.Time{}); ctx.Err() == nil; {
		err := l.follow(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, topic.ErrTopicReplaced) {
			err = fmt.Errorf("following the catalog %s: %w", l.c.Topic, err)
			l.warn(err, &warned)
			l.stick(err)
		}
		sleep(ctx, l.c.Pause)
	}
}

// end records that the following has ended, and wakes the goroutines that wait for an offset.
func (l *Log) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = fmt.Errorf("the catalog %s is no longer followed: %w", l.c.Topic, cause)
	close(l.moved)
	l.moved = make(chan struct{})
}

// warn reports an error at most once per interval.
func (l *Log) warn(err error, warned *time.Time) {
	if now := time.Now(); now.Sub(*warned) >= l.c.Every {
		*warned = now
		l.c.Warn(err)
	}
}

// stick records that the log cannot be followed. Goroutines that wait for an offset return the
// error, unless it is temporary.
func (l *Log) stick(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c.Passing(err) {
		return
	}
	l.stuck = err
	l.failed++
	close(l.moved)
	l.moved = make(chan struct{})
}

// follow reads from the first offset that is not applied, until an error or the end of ctx. A new
// call continues where the last one stopped, so that no entry is applied twice.
func (l *Log) follow(ctx context.Context) error {
	l.mu.Lock()
	span := topic.Span{Partition: topic.Partition{Topic: l.c.Topic}, From: l.next, To: topic.End}
	l.mu.Unlock()
	r, err := l.c.Broker.Open(ctx, []topic.Span{span})
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		fetches, err := r.Poll(ctx)
		if err != nil {
			return err
		}
		// The snapshot is published before next advances. A goroutine that waits for an offset
		// therefore finds the entries below it in the snapshot and in found.
		l.apply(fetches)
		if n := len(fetches); n > 0 {
			l.advance(fetches[n-1].Next)
		}
	}
}

// advance records that all offsets below to are applied, and wakes the goroutines that wait for
// them.
func (l *Log) advance(to topic.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to > l.next {
		l.next = to
		close(l.moved)
		l.moved = make(chan struct{})
	}
}

// apply builds the next snapshot from records and publishes it.
func (l *Log) apply(fetches []topic.Fetch) {
	var changes []catalog.Change
	var entries []*catalog.Entry
	var broken []catalog.Broken
	for k := range fetches {
		f := &fetches[k]
		for _, b := range f.Bad {
			broken = append(broken, catalog.Broken{Offset: int64(b.From), Reason: b.Error()})
		}
		for i := range f.Rows() {
			e, bad, err := catalog.Decode(f.Value.At(i), int64(f.Offsets[i]))
			if err != nil {
				broken = append(broken, bad)
				continue
			}
			entries, changes = append(entries, e), append(changes, e.Change)
		}
	}
	if len(changes) == 0 && len(broken) == 0 {
		return
	}
	next := l.Snapshot()
	if len(broken) > 0 { // before the changes, which may skip them
		next = next.WithBroken(broken...)
	}
	next = next.Apply(changes...)
	l.snapshot.Store(next)
	l.mu.Lock()
	for _, e := range entries {
		if _, asked := l.found[e.ID]; asked {
			l.found[e.ID] = true
		}
	}
	l.mu.Unlock()
	for _, b := range next.Broken() {
		for _, mine := range broken {
			if b.Offset == mine.Offset {
				l.c.Warn(&BrokenError{Topic: l.c.Topic, Broken: b})
			}
		}
	}
	if l.c.Apply != nil {
		l.c.Apply(next, entries)
	}
}

// BrokenError reports an entry that cannot be applied.
type BrokenError struct {
	Topic string
	catalog.Broken
}

// Error names the entry, the reason and the consequence.
func (e *BrokenError) Error() string {
	what := "it has no readable definition"
	if e.Name != "" {
		what = fmt.Sprintf("%s %s is UNAVAILABLE in this process", e.Kind, e.Name)
	}
	return fmt.Sprintf(
		"entry %d of the catalog topic %s cannot be applied: %s; %s",
		e.Offset,
		e.Topic,
		e.Reason,
		what,
	)
}

// CatchUp returns when all entries that were committed before the call are applied, or with the
// error that prevents it.
func (l *Log) CatchUp(ctx context.Context) error {
	d, err := l.c.Broker.Describe(ctx, l.c.Topic)
	if err != nil {
		return err
	}
	return l.reach(ctx, d.Partitions[0].To)
}

// reach waits until the offsets below end are applied. It takes moved together with next under the
// lock, so that it misses no change between the check and the wait.
func (l *Log) reach(ctx context.Context, end topic.Offset) error {
	for before := -1; ; {
		l.mu.Lock()
		next, moved, stuck, failed, over := l.next, l.moved, l.stuck, l.failed, l.over
		l.mu.Unlock()
		if before < 0 {
			before = failed
		}
		switch {
		case next >= end:
			return nil
		case over != nil:
			return over
		// A newer failure ends the wait. A failure from before the call does not: the follower
		// tries again every Config.Pause, and may have succeeded since.
		case failed > before: // since this call began
			return stuck
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// newID returns a random id for an entry.
func newID() string { return rand.Text() }

// sleep waits for d, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
