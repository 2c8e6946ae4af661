package local

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// openStore opens the database for one small process: a small cache, few files, no log output.
func (b *Broker) openStore(dir string) error {
	log := &logger{broker: b}
	o := &pebble.Options{
		FS: b.o.fs, Logger: log, MemTableSize: 16 << 20, MaxOpenFiles: 500, FormatMajorVersion: pebble.FormatNewest,
	}
	cacheSize := int64(32 << 20)
	if b.o.memory {
		cacheSize, o.MemTableSize = 8<<20, 4<<20
	}
	compactor := &compactor{}
	o.Experimental.CompactionScheduler = compactor
	// Other work that an open has begun may outlive its failure too: the caches are ours, and given up when the database has them.
	o.Cache, o.FileCache = pebble.NewCache(cacheSize), pebble.NewFileCache(2, o.MaxOpenFiles)
	broken := make(chan error, 1) // the first error of work that the database does by itself, and does again for ever
	o.EventListener = &pebble.EventListener{BackgroundError: func(err error) {
		err = fmt.Errorf("store %s: %w", dir, err)
		b.fail(err)
		select {
		case broken <- err:
		default:
		}
	}}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	done := make(chan error, 1)
	go func() { // of its own, because logger.Fatalf may end it
		err := errors.New("the store cannot be opened")
		defer func() { done <- err }()
		defer recoverFatal(&err)
		b.db, err = pebble.Open(dir, o)
	}()
	if err := opened(done, broken); err != nil {
		return b.reason(err)
	}
	compactor.release()
	o.Cache.Unref()
	o.FileCache.Unref()
	return nil
}

// openTime is how long an open may go on after its first error. On a full disk it would write its tables again and again.
const openTime = time.Second

// opened waits for the end of an open. One that cannot end is left behind: the directory stays locked until the process ends.
func opened(done, broken <-chan error) error {
	select {
	case err := <-done:
		return err
	case err := <-broken:
		select {
		case opened := <-done:
			return opened
		case <-time.After(openTime):
			return err
		}
	}
}

// reason is the first error of the store, or err.
func (b *Broker) reason(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = err
	}
	return b.failed
}

// logger takes what the database says. A database that cannot go on calls Fatalf and expects not to come back. A commit, which runs on
// its caller's goroutine, gets the error by a panic that ends in recoverFatal; any other goroutine ends quietly. Either way the broker
// has failed, and the process lives.
type logger struct{ broker *Broker }

func (l *logger) Infof(string, ...any) {}

func (l *logger) Errorf(string, ...any) {}

func (l *logger) Fatalf(f string, args ...any) {
	err := fmt.Errorf("store: "+f, args...)
	l.broker.fail(err)
	if strings.HasPrefix(f, "pebble: fatal commit error") {
		panic(err)
	}
	runtime.Goexit()
}

// recoverFatal turns a panic of the database into an error: that of logger.Fatalf, or its own when it cannot move a marker file.
func recoverFatal(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = r
	default:
		*err = fmt.Errorf("store: %v", r)
	}
}

// apply commits a batch of the database, which is the moment at which a transaction becomes true. After an error nobody knows
// whether it did: the broker has failed, and the next open tells.
func (b *Broker) apply(batch *pebble.Batch) (err error) {
	defer func() {
		if err != nil {
			err = b.fail(err)
		}
	}()
	defer recoverFatal(&err)
	return batch.Commit(b.sync())
}

// sync is how the database writes: in memory there is no disk to wait for.
func (b *Broker) sync() *pebble.WriteOptions {
	if b.o.memory {
		return pebble.NoSync
	}
	return pebble.Sync
}
