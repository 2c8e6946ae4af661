package exec

import (
	"context"
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

// Due takes the positions that are committed of all exchange partitions of this process's tasks, and returns before which offsets they
// are to be trimmed now; nil: there is nothing to do yet. A partition that is not named is forgotten: its task has moved away. It is cheap
// to ask after every commit. Trims are used by one goroutine.
func (t *Trims) Due(now time.Time, committed map[topic.Partition]topic.Offset) map[topic.Partition]topic.Offset {
	if !t.last.IsZero() && now.Sub(t.last) < t.every {
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

// Run trims and remembers it. After an error the same is due again, an interval later.
func (t *Trims) Run(ctx context.Context, to topic.Trimmer, due map[topic.Partition]topic.Offset) error {
	if len(due) == 0 {
		return nil
	}
	if err := to.Trim(ctx, due); err != nil {
		return err
	}
	for p, at := range due {
		if was, ok := t.parts[p]; ok {
			t.parts[p] = trim{old: was.old, done: at}
		}
	}
	return nil
}
