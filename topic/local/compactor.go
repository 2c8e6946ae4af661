package local

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactor lets the database compact one thing at a time, and nothing before it is open: an open that fails does not wait for a
// compaction that it has begun, and the compaction would panic once the open has taken its caches away.
type compactor struct {
	mu   sync.Mutex // never held while the database is called
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

func (c *compactor) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.free
	c.free = false
	return was
}

// release lets the next compaction begin: the one that waits, or one that will be asked for.
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

// Started, MeasureCPU and CumulativeStats tell a scheduler what a compaction costs; UpdateGetAllowedWithoutPermission that more may run.
func (c *compactor) Started()                                                {}
func (c *compactor) MeasureCPU(pebble.CompactionGoroutineKind)               {}
func (c *compactor) CumulativeStats(stats pebble.CompactionGrantHandleStats) {}
func (c *compactor) UpdateGetAllowedWithoutPermission()                      {}
