package local

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// calledDB counts the calls that a compactor makes.
type calledDB struct {
	pebble.DBForCompaction
	calls int
	then  func() // during a call
}

func (d *calledDB) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	d.calls++
	d.then()
	return true, pebble.WaitingCompaction{}
}

func (d *calledDB) Schedule(pebble.CompactionGrantHandle) bool {
	d.calls++
	return true
}

// TestCompactorUnregistered: a compaction that ends while the database is being closed, or
// afterwards, starts no other.
func TestCompactorUnregistered(t *testing.T) {
	c, d := &compactor{}, &calledDB{then: func() {}}
	c.Register(1, d)
	c.release()
	if d.calls != 2 {
		t.Fatalf("%d calls for a waiting compaction", d.calls)
	}
	unregistered := make(chan bool)
	d.then = func() {
		go func() {
			c.Unregister()
			close(unregistered)
		}()
		for over := false; !over; {
			c.mu.Lock()
			over = c.over
			c.mu.Unlock()
		}
		select {
		case <-unregistered:
			t.Error("the database is closed during a call")
		default:
		}
	}
	c.Done()
	<-unregistered
	c.Done()
	if d.calls != 3 {
		t.Errorf("%d calls: a compaction was started, or the closed database was called", d.calls)
	}
	if ok, _ := c.TrySchedule(); ok {
		t.Error("a compaction starts after the end")
	}
}
