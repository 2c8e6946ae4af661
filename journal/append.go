package journal

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/topic"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// The backoff of processes that compete for the log: it doubles from firstPause to longPause,
// and each delay is random between half of it and all of it.
const (
	firstPause = 50 * time.Millisecond
	longPause  = 2 * time.Second
)

// errMoved reports that the catalog has changed since the entry was decided.
var errMoved = errors.New("the catalog has changed meanwhile")

// Decide appends the entry that decide returns for the newest snapshot; nil: nothing is
// appended. decide runs on the caller's goroutine without a lock and may call the broker. It
// runs again if another process has changed a definition before the entry was appended. When
// Decide returns nil, the entry is applied in this process. Temporary errors are retried until
// ctx ends or Config.Patience has passed.
func (l *Log) Decide(ctx context.Context, decide func(*catalog.Catalog) (*catalog.Entry, error)) error {
	pause, began, warned := firstPause, time.Now(), time.Time{}
	var tried []string
	defer func() { l.forget(tried) }()
	for {
		// An error of decide ends the loop unless it is temporary: a wrong statement stays wrong.
		err := l.try(ctx, decide, &tried)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !l.competes(err) {
			if !l.c.Passing(err) || l.c.Patience > 0 && time.Since(began) > l.c.Patience {
				return err
			}
			l.warn(err, &warned)
		}
		half := int64(pause / 2)
		sleep(ctx, time.Duration(half+int64(l.c.Random()%uint64(half))))
		pause = min(2*pause, longPause)
	}
}

// competes reports whether the error means that another process appended first.
func (l *Log) competes(err error) bool {
	return errors.Is(err, errMoved) || errors.Is(err, topic.ErrFenced) || errors.Is(err, topic.ErrLost)
}

// try decides and appends once. tried contains the ids of the entries of earlier tries, because
// an entry whose commit was in doubt may have been appended after all.
func (l *Log) try(ctx context.Context, decide func(*catalog.Catalog) (*catalog.Entry, error), tried *[]string) error {
	if err := l.CatchUp(ctx); err != nil {
		return err
	}
	// An entry of an earlier try has arrived if its commit ended before CatchUp began. If that commit
	// is still under way, append fences it or finds that the version has changed.
	if l.arrived(*tried) {
		return nil
	}
	snapshot := l.Snapshot()
	e, err := decide(snapshot)
	if err != nil || e == nil {
		return err
	}
	e.ID, e.By, e.At = newID(), l.c.By, l.c.Now().UnixMilli()
	value, err := e.Encode()
	if err != nil {
		return err
	}
	select {
	// Goroutines of this process append in turn. Without the semaphore, each Begin would fence the
	// transaction of another goroutine of the same process.
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.turn }()
	*tried = append(*tried, e.ID)
	return l.append(ctx, e.ID, value, snapshot.Version())
}

// append writes an entry that was decided at a version of the catalog. Begin fences every
// process that began before. No other entry can therefore be appended between the read of the
// log's end and the commit: if another process begins in between, this commit fails.
func (l *Log) append(ctx context.Context, id string, value []byte, version int64) (err error) {
	txn, err := l.c.Broker.Begin(ctx, transaction)
	if err != nil {
		return err
	}
	if err = l.CatchUp(ctx); err == nil && l.Snapshot().Version() != version {
		err = errMoved
	}
	if err != nil {
		return errors.Join(err, txn.Abort(context.WithoutCancel(ctx)))
	}
	rec := topic.Record{Value: value, Time: l.c.Now().UnixMilli()}
	if err := txn.Write(topic.Partition{Topic: l.c.Topic}, rec); err != nil {
		return errors.Join(err, txn.Abort(context.WithoutCancel(ctx)))
	}
	// Before the commit, because the follower may read the entry back before Commit returns, and it
	// marks only the ids that are expected.
	l.expect(id)
	err = txn.Commit(ctx, nil)
	if errors.Is(err, topic.ErrFenced) {
		return err
	}
	// Whether the entry was appended is decided by reading the log, because the response to the
	// commit may have been lost.
	if caught := l.CatchUp(ctx); caught != nil {
		return errors.Join(err, caught)
	}
	if l.arrived([]string{id}) {
		return nil
	}
	// The commit succeeded, but the entry is not in the log: the topic was deleted or truncated
	// meanwhile.
	if err == nil {
		err = topic.ErrLost
	}
	return err
}

// expect makes the follower look for an entry. The id stays in found until Decide returns.
func (l *Log) expect(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found[id] = false
}

// arrived reports whether one of the entries has been read back.
func (l *Log) arrived(ids []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if l.found[id] {
			return true
		}
	}
	return false
}

// forget removes the ids of the entries of a Decide that has ended, so that found does not grow.
func (l *Log) forget(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.found, id)
	}
}
