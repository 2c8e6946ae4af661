package local

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactor makes the database run one compaction at a time, and none before it is open. A
// failing open does not wait for a compaction that it has started, and the compaction would
// panic after the open has released its caches.
type compactor struct {
	mu   sync.Mutex // never held during a call of the database
	db   pebble.DBForCompaction
	free bool
}

// Register implements pebble.CompactionScheduler.
func (c *compactor) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler.
func (c *compactor) Unregister() { c.take() }

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
	was := c.free
	c.free = false
	return was
}

// release ends a compaction and starts the next one, if one is waiting.
func (c *compactor) release() {
	for {
		c.mu.Lock()
		c.free = true
		c.mu.Unlock()
		waits, _ := c.db.GetWaitingCompaction()
		if !waits || !c.take() || c.db.Schedule(c) {
			return
		}
	}
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
