package exec

import (
	"time"

	"github.com/streamql/streamql/topic"
)

// Trims decides when and where exchange topics are trimmed. A partition of an exchange has one reader, the task that it belongs to, so what
// the task has committed nobody reads again: a later owner begins at the committed position.
//
// A position must be an interval old before its partition is trimmed up to it: a former owner that does not know yet that it has lost its
// place still reads there, and is to learn that from its group, not from a gap.
type Trims struct {
	every time.Duration
	last  time.Time
	parts map[topic.Partition]trim
}

type trim struct{ old, done topic.Offset } // committed when the last interval began; trimmed

// NewTrims trims at most once per interval.
func NewTrims(every time.Duration) *Trims {
	return &Trims{every: every, parts: map[topic.Partition]trim{}}
}

// Ready reports whether an interval has passed, so that Due has something to decide.
func (t *Trims) Ready(now time.Time) bool { return t.last.IsZero() || now.Sub(t.last) >= t.every }

// Due takes the positions that are committed of all exchange partitions of this process's tasks, and returns before which offsets they
// are to be trimmed now; nil: there is nothing to do yet. A partition that is not named is forgotten: its task has moved away. It is cheap
// to ask after every commit. Trims are used by one goroutine.
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

// Done notes that partitions are trimmed. What is not, after an error, is due again an interval later.
func (t *Trims) Done(due map[topic.Partition]topic.Offset) {
	for p, at := range due {
		if was, ok := t.parts[p]; ok {
			t.parts[p] = trim{old: was.old, done: at}
		}
	}
}

// Trimming says how the exchanges of a job are trimmed.
type Trimming struct {
	To     topic.Trimmer
	Topics map[string]bool // the exchanges
	Every  time.Duration
}

// trim orders the trimming of what the tasks of this process have committed. It is called when all that they have read is committed.
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
	for _, u := range w.units {
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
