package exec

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// clock is a task's stream time (and whether its input has ended): the running maximum of event time over its inputs, kept in the task's state. Lateness is decided
// by it row by row, so answers never depend on how fetches were cut.
type clock struct {
	now   flow.Time
	ended bool // the input has ended, and the operators were told so
	dirty bool
	keep  state.Keyspace
}

const noTime = flow.Time(math.MinInt64)

var clockKey, endedKey = []byte{0}, []byte{1}

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

// end notes that the input has ended: whoever opens the task again must not tell the operators once more.
func (c *clock) end() error {
	c.ended = true
	return c.keep.Put(endedKey, nil)
}

// stamp moves the clock over a batch's rows and fills the batch's stream-time column, if it has one.
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

func (c *clock) set(now int64) {
	if flow.Time(now) != c.now {
		c.now, c.dirty = flow.Time(now), true
	}
}

func (c *clock) seal() error {
	if !c.dirty {
		return nil
	}
	c.dirty = false
	return c.keep.Put(clockKey, binary.BigEndian.AppendUint64(nil, uint64(c.now)))
}
