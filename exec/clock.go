package exec

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// clock is a task's stream time: the running maximum of event time over its inputs. It is kept
// in the task's state, together with a mark that the input has ended. Lateness is decided
// against it row by row, so results never depend on how rows were divided into fetches.
type clock struct {
	now   flow.Time
	ended bool // the input has ended, and the operators' Finish was called
	dirty bool
	keep  state.Keyspace
}

// noTime is the stream time of a task that has seen no row.
const noTime = flow.Time(math.MinInt64)

// The keys of the clock's keyspace: the stream time in 8 bytes, and the mark that the input has
// ended.
var clockKey, endedKey = []byte{0}, []byte{1}

// openClock reads the clock as of the last commit.
func openClock(s state.Store) (*clock, error) {
	c := &clock{now: noTime, keep: s.Keyspace("clock")}
	v, ok, err := c.keep.Get(clockKey)
	if ok && err == nil {
		c.now = flow.Time(binary.BigEndian.Uint64(v))
	}
	if err == nil {
		_, c.ended, err = c.keep.Get(endedKey)
	}
	return c, err
}

// end records that the input has ended. A later owner of the task must not call Finish again.
func (c *clock) end() error {
	c.ended = true
	return c.keep.Put(endedKey, nil)
}

// stamp advances the clock over a batch's rows and fills the batch's stream-time column if the
// schema has one.
func (c *clock) stamp(b *flow.Batch) *flow.Batch {
	if b.Schema.Time < 0 {
		return b
	}
	times := b.Times()
	now := int64(c.now)
	if b.Schema.Clock < 0 {
		for _, t := range times {
			now = max(now, t)
		}
		c.set(now)
		return b
	}
	out := make([]int64, len(times))
	for i, t := range times {
		now = max(now, t)
		out[i] = now
	}
	c.set(now)
	cols := append([]arrow.Array(nil), b.Columns()...)
	cols[b.Schema.Clock] = flow.Fixed(flow.Bigint, out, arrow.Int64Traits.CastToBytes, flow.Valid(len(out)))
	return b.With(b.Schema, cols)
}

// set sets the stream time; seal writes it only if it changed.
func (c *clock) set(now int64) {
	if flow.Time(now) != c.now {
		c.now, c.dirty = flow.Time(now), true
	}
}

// seal writes a changed stream time into the task's state.
func (c *clock) seal() error {
	if !c.dirty {
		return nil
	}
	c.dirty = false
	return c.keep.Put(clockKey, binary.BigEndian.AppendUint64(nil, uint64(c.now)))
}
