// Package journal is the catalog log: the topic that holds every definition of an application, which all its processes follow. A
// definition is decided against a snapshot, appended in its turn, and applied when it is read back. Nothing is known of a definition's
// effects here: the next snapshot goes to those who follow it.
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

// Config is what a log works with.
type Config struct {
	Broker interface {
		topic.Source
		topic.Sink
	}
	Topic string // one partition
	By    string // this process, as entries name it
	Now   func() time.Time
	// Random spreads the pauses of processes that compete.
	Random func() uint64
	// Apply is called with each new snapshot and the entries that led to it, in the order of the log, on the follower's goroutine. It must
	// not wait for anything.
	Apply func(next *catalog.Catalog, entries []*catalog.Entry)
	// Warn reports an entry that cannot be applied, and trouble with the topic that is being waited out.
	Warn func(error)
	// Passing reports whether an error heals by itself.
	Passing func(error) bool
	// Patience is how long Decide waits out errors that pass; 0: for ever.
	Patience time.Duration
	// Pause is the wait between two tries to follow the topic, Every the time between two warnings about the same trouble.
	Pause, Every time.Duration
}

// transaction is the id under which processes fence one another: the newest Begin wins.
const transaction = "catalog"

// Log is one process's view of the catalog log. Its methods may be called from any goroutine.
type Log struct {
	c        Config
	snapshot atomic.Pointer[catalog.Catalog]
	turn     chan struct{} // held while an entry is appended: one at a time in a process

	mu     sync.Mutex // guards what follows; never held over I/O
	next   topic.Offset
	moved  chan struct{}   // closed and replaced when next or failed moves
	stuck  error           // why the log could not be followed the last time that it could not, and needs somebody's help
	failed int             // how often that was
	found  map[string]bool // ids of entries of this process whose commit was in doubt, and whether they were read back
}

// New returns a log of which nothing has been read yet. base is the catalog before its first entry.
func New(c Config, base *catalog.Catalog) *Log {
	l := &Log{c: c, turn: make(chan struct{}, 1), moved: make(chan struct{}), found: map[string]bool{}}
	l.snapshot.Store(base)
	return l
}

// Load reads the log to its present end, before Follow. After an error it may be called again.
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

// Snapshot is the catalog as far as the log has been applied here.
func (l *Log) Snapshot() *catalog.Catalog { return l.snapshot.Load() }

// read applies a span to its end.
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

// Follow applies what is appended, by this process or another, until ctx ends. It runs on one goroutine, which is the only writer of the
// snapshot from then on.
func (l *Log) Follow(ctx context.Context) {
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

// warn reports trouble once an interval.
func (l *Log) warn(err error, warned *time.Time) {
	if now := time.Now(); now.Sub(*warned) >= l.c.Every {
		*warned = now
		l.c.Warn(err)
	}
}

// stick notes that the log cannot be followed. Waits for what was appended end with the error, unless it passes.
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
		l.apply(fetches)
		if n := len(fetches); n > 0 {
			l.advance(fetches[n-1].Next)
		}
	}
}

// advance notes that everything below an offset is applied.
func (l *Log) advance(to topic.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to > l.next {
		l.next = to
		close(l.moved)
		l.moved = make(chan struct{})
	}
}

// apply makes the next snapshot from records.
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
	if len(broken) > 0 { // before the changes, which may give them up
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

func (e *BrokenError) Error() string {
	what := "it defines nothing that could be told"
	if e.Name != "" {
		what = fmt.Sprintf("%s %s is UNAVAILABLE in this process", e.Kind, e.Name)
	}
	return fmt.Sprintf("entry %d of the catalog topic %s cannot be applied: %s; %s", e.Offset, e.Topic, e.Reason, what)
}

// CatchUp returns when everything that had been committed to the log when it was called is applied, or with why that cannot be read.
func (l *Log) CatchUp(ctx context.Context) error {
	d, err := l.c.Broker.Describe(ctx, l.c.Topic)
	if err != nil {
		return err
	}
	return l.reach(ctx, d.Partitions[0].To)
}

func (l *Log) reach(ctx context.Context, end topic.Offset) error {
	for before := -1; ; {
		l.mu.Lock()
		next, moved, stuck, failed := l.next, l.moved, l.stuck, l.failed
		l.mu.Unlock()
		if before < 0 {
			before = failed
		}
		switch {
		case next >= end:
			return nil
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

// newID names an entry.
func newID() string { return rand.Text() }

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
