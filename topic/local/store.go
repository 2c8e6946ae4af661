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

// openStore opens the database with settings for a small process: a small cache, few files and
// no log output.
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
	// Goroutines that a failed open has started may outlive it. The caches are created here, so
	// that they are released only once the database has its own references.
	o.Cache, o.FileCache = pebble.NewCache(cacheSize), pebble.NewFileCache(2, o.MaxOpenFiles)
	broken := make(chan error, 1) // the first error of background work, which the database retries endlessly
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
	// done and broken have room for one error each, so that the goroutine and the listener can end
	// even if opened has returned.
	done := make(chan error, 1)
	go func() { // its own goroutine, because logger.Fatalf may end it
		err := errors.New("the store cannot be opened")
		defer func() { done <- err }()
		defer recoverFatal(&err)
		b.db, err = pebble.Open(dir, o)
	}()
	if err := opened(done, broken); err != nil {
		return b.reason(err)
	}
	// Compactions are allowed from here on, see compactor.
	compactor.release()
	o.Cache.Unref()
	o.FileCache.Unref()
	return nil
}

// openTime is how long an open may continue after its first error. On a full disk it would
// rewrite its tables endlessly.
const openTime = time.Second

// opened waits for the end of an open. An open that cannot end is abandoned: the directory
// stays locked until the process ends.
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

// reason returns the first error of the store, or err.
func (b *Broker) reason(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = err
	}
	return b.failed
}

// logger receives the database's log output. A database that cannot continue calls Fatalf,
// which must not return. On the goroutine of a commit, Fatalf panics, and recoverFatal converts
// the panic to the commit's error; any other goroutine ends. In both cases the broker has
// failed and the process continues.
type logger struct{ broker *Broker }

// Infof discards the message.
func (l *logger) Infof(string, ...any) {}

// Errorf records the first error of background work.
func (l *logger) Errorf(string, ...any) {}

// Fatalf marks the broker as failed and does not return.
func (l *logger) Fatalf(f string, args ...any) {
	err := fmt.Errorf("store: "+f, args...)
	l.broker.fail(err)
	if strings.HasPrefix(f, "pebble: fatal commit error") {
		panic(err)
	}
	runtime.Goexit()
}

// recoverFatal converts a panic of the database to an error: the panic of logger.Fatalf, or the
// database's own if it cannot move a marker file.
func recoverFatal(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = r
	default:
		*err = fmt.Errorf("store: %v", r)
	}
}

// apply commits a batch of the database, which is the point at which a transaction is
// committed. After an error the outcome is unknown: the broker has failed, and the next open
// determines it.
func (b *Broker) apply(batch *pebble.Batch) (err error) {
	defer func() {
		if err != nil {
			err = b.fail(err)
		}
	}()
	defer recoverFatal(&err)
	return batch.Commit(b.sync())
}

// sync returns the write options: in memory there is no disk to wait for.
func (b *Broker) sync() *pebble.WriteOptions {
	if b.o.memory {
		return pebble.NoSync
	}
	return pebble.Sync
}
