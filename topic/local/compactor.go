package local

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactor makes the database run one compaction at a time, and none before it is open. A
// failing open does not wait for a compaction that it has started, and the compaction would
// panic after the open has released its caches.
type compactor struct {
	db    pebble.DBForCompaction
	calls sync.WaitGroup // of release, which may call the database

	// mu is never held during a call of the database, which calls TrySchedule with its own lock
	// held. It guards the fields below.
	mu   sync.Mutex
	free bool // a compaction may start
	over bool // the database is being closed
}

// Register implements pebble.CompactionScheduler.
func (c *compactor) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler: when it returns, the database is not called
// any more, although a compaction may still be running.
func (c *compactor) Unregister() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.calls.Wait()
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactor) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if c.take() {
		return true, c
	}
	return false, nil
}

// take reports whether a compaction may start now, and marks it as running.
func (c *compactor) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.free || c.over {
		return false
	}
	c.free = false
	return true
}

// release ends a compaction and starts the next one, if one is waiting.
func (c *compactor) release() {
	if !c.enter() {
		return
	}
	defer c.calls.Done()
	for {
		// free is set before the database is called. A compaction that begins to wait in between
		// either finds free set or is found here.
		waits, _ := c.db.GetWaitingCompaction()
		if !waits || !c.take() || c.db.Schedule(c) {
			return
		}
		c.mu.Lock()
		c.free = true
		c.mu.Unlock()
	}
}

// enter marks the compaction as ended, and reports whether the database may be called.
func (c *compactor) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = true
	if !c.over {
		c.calls.Add(1) // not after Unregister has begun to wait
	}
	return !c.over
}

// Done implements pebble.CompactionGrantHandle.
func (c *compactor) Done() { c.release() }

// Started implements pebble.CompactionGrantHandle; the cost of compactions is not tracked.
func (c *compactor) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (c *compactor) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (c *compactor) CumulativeStats(stats pebble.CompactionGrantHandleStats) {}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler; the limit is always
// one.
func (c *compactor) UpdateGetAllowedWithoutPermission() {}
