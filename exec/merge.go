package exec

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// merge orders the inputs of one task by event time, then input, then partition. A row never
// overtakes an earlier row of its partition. The order depends only on the rows, not on how they
// were divided into fetches. A bounded job waits for every partition that has not ended; a live job
// passes rows as they arrive.
type merge struct {
	lanes []*lane // sorted by input, then partition
}

// lane is the queue of one partition of one input.
type lane struct {
	leaf  int
	part  topic.Partition
	queue []*flow.Batch
	row   int // next row of queue[0]
	ended bool
	done  int64 // bytes of the batches that have left the queue since pushed last released them
}

// lane returns the queue of a partition of an input, or nil.
func (m *merge) lane(leaf int, p topic.Partition) *lane {
	for _, l := range m.lanes {
		if l.leaf == leaf && l.part == p {
			return l
		}
	}
	return nil
}

// run is a range of the rows of one queue.
type run struct {
	lane  *lane
	batch *flow.Batch
}

// next removes and returns the longest range of rows that may be pushed, or false if there is none.
// With wait, an empty queue that has not ended blocks all others.
func (m *merge) next(wait bool) (run, bool) {
	var best, second *lane
	for _, l := range m.lanes {
		if len(l.queue) == 0 {
			if wait && !l.ended {
				return run{}, false
			}
			continue
		}
		switch {
		case best == nil || l.head() < best.head():
			best, second = l, best
		case second == nil || l.head() < second.head():
			second = l
		}
	}
	if best == nil {
		return run{}, false
	}
	return run{best, best.take(second, m.before(best, second))}, true
}

// before reports whether a precedes b in the order of input and partition.
func (m *merge) before(a, b *lane) bool {
	for _, l := range m.lanes {
		switch l {
		case a:
			return true
		case b:
			return false
		}
	}
	return true
}

// head returns the event time of the first queued row.
func (l *lane) head() int64 { return l.time(l.row) }

// time returns the event time of a row of the first batch, 0 for a schema without event time.
func (l *lane) time(row int) int64 {
	b := l.queue[0]
	if b.Schema.Time < 0 {
		return 0
	}
	return b.Times()[row]
}

// take removes the rows that precede the head of the other queue. With first, this queue's rows
// precede the other's at equal times.
func (l *lane) take(other *lane, first bool) *flow.Batch {
	b := l.queue[0]
	end := b.Rows()
	if other != nil {
		limit := other.head()
		for end = l.row + 1; end < b.Rows(); end++ {
			if t := l.time(end); t > limit || t == limit && !first {
				break
			}
		}
	}
	out := b.Slice(l.row, end)
	if l.row = end; end == b.Rows() {
		l.queue, l.row = l.queue[1:], 0
		l.done += b.Size()
	}
	return out
}

// wants reports whether a queue of the partition is empty. Only then is the partition read, which
// bounds the number of queued rows.
func (m *merge) wants(p topic.Partition) bool {
	for _, l := range m.lanes {
		if l.part == p && len(l.queue) == 0 {
			return true
		}
	}
	return false
}

// held reports whether any row has been read but not pushed.
func (m *merge) held() bool {
	for _, l := range m.lanes {
		if len(l.queue) > 0 {
			return true
		}
	}
	return false
}
