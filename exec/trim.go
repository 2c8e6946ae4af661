package exec

import (
	"time"

	"github.com/streamql/streamql/topic"
)

// Trims decides when exchange topics are trimmed, and to which offsets. Each partition of an
// exchange has one reader, its task; later owners begin at the committed position. Records
// below the committed position are therefore never read again.
//
// A position must be one interval old before its partition is trimmed to it. A former owner
// that has not noticed yet that it lost its task is still reading there, and should learn it
// from its group rather than from a gap. One goroutine uses a Trims.
type Trims struct {
	every time.Duration
	last  time.Time
	parts map[topic.Partition]trim
}

type trim struct{ old, done topic.Offset } // old: committed when the last interval began; done: trimmed to

// NewTrims returns a Trims that trims at most once per interval.
func NewTrims(every time.Duration) *Trims {
	return &Trims{every: every, parts: map[topic.Partition]trim{}}
}

// Ready reports whether an interval has passed, so that Due has a result.
func (t *Trims) Ready(now time.Time) bool { return t.last.IsZero() || now.Sub(t.last) >= t.every }

// Due takes the committed positions of all exchange partitions of this process's tasks and
// returns the offsets to trim to; nil: none. Partitions that are missing in committed are
// forgotten, because their tasks have moved away. Due is cheap enough for a call after every
// commit.
func (t *Trims) Due(now time.Time, committed map[topic.Partition]topic.Offset) map[topic.Partition]topic.Offset {
	if !t.Ready(now) {
		return nil
	}
	t.last = now
	var due map[topic.Partition]topic.Offset
	parts := make(map[topic.Partition]trim, len(committed))
	for p, at := range committed {
		was := t.parts[p]
		if was.old > was.done {
			if due == nil {
				due = map[topic.Partition]topic.Offset{}
			}
			due[p] = was.old
		}
		parts[p] = trim{old: at, done: was.done}
	}
	t.parts = parts
	return due
}

// Done records that partitions are trimmed. Those that failed are due again one interval later.
func (t *Trims) Done(due map[topic.Partition]topic.Offset) {
	for p, at := range due {
		if was, ok := t.parts[p]; ok {
			t.parts[p] = trim{old: was.old, done: at}
		}
	}
}

// Trimming configures how the exchanges of a job are trimmed.
type Trimming struct {
	To     topic.Trimmer
	Topics map[string]bool // names of the exchanges
	Every  time.Duration
}

// trim orders the trimming of exchanges up to the committed positions. commit calls it, when
// nothing that was read is uncommitted.
func (w *Worker) trim() {
	t, now := w.env.Trim, w.env.Now()
	if t == nil || len(t.Topics) == 0 || w.env.Transient {
		return
	}
	if w.trims == nil {
		w.trims = NewTrims(t.Every)
	}
	if !w.trims.Ready(now) {
		return
	}
	committed := map[topic.Partition]topic.Offset{}
	for _, u := range w.slots {
		for _, in := range u.inputs {
			if u.phase == running && t.Topics[in.Topic] {
				committed[in.Partition] = u.task.position[in.Partition]
			}
		}
	}
	if due := w.trims.Due(now, committed); due != nil {
		w.order(toTrim{due})
	}
}
