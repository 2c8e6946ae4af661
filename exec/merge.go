package exec

import (
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// merge orders the inputs of one task by (event time, input, partition): a row of one partition never overtakes an earlier one of
// the same partition, and which row goes next depends only on the rows, never on how they were fetched. A bounded input waits for
// every partition that has not ended; a live one lets go what has come.
type merge struct {
	lanes []*lane // in the order of inputs and partitions
}

type lane struct {
	leaf  int
	part  topic.Partition
	queue []*flow.Batch
	row   int // next row of queue[0]
	ended bool
	done  int64 // bytes of the batches that have left the queue since pushed looked
}

func (m *merge) lane(leaf int, p topic.Partition) *lane {
	for _, l := range m.lanes {
		if l.leaf == leaf && l.part == p {
			return l
		}
	}
	return nil
}

// run is a stretch of one lane's rows.
type run struct {
	lane  *lane
	batch *flow.Batch
}

// next returns the longest stretch that may go now; false when nothing may. With wait set, a lane that is empty but has not ended
// holds everything back.
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

// before reports whether a comes before b in the order of lanes.
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

func (l *lane) head() int64 { return l.time(l.row) }

func (l *lane) time(row int) int64 {
	b := l.queue[0]
	if b.Schema.Time < 0 {
		return 0
	}
	return b.Times()[row]
}

// take removes the rows up to where the other lane's head must go first.
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

// wants reports whether some lane of a partition has nothing queued: only then is the partition read, so that what is held back
// stays bounded.
func (m *merge) wants(p topic.Partition) bool {
	for _, l := range m.lanes {
		if l.part == p && len(l.queue) == 0 {
			return true
		}
	}
	return false
}

// held reports whether rows have been read and not pushed.
func (m *merge) held() bool {
	for _, l := range m.lanes {
		if len(l.queue) > 0 {
			return true
		}
	}
	return false
}
