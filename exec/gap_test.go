package exec

import (
	"errors"
	"testing"

	"github.com/streamql/streamql/topic"
)

type seat struct{ topic.Member }

// reads is the event of a reader of a running slot that has failed.
func reads(err error) fetched {
	return fetched{reading: &reading{slot: &slot{stage: &Stage{}, phase: running}}, err: err}
}

// TestGapIsMetTwice: for a member of a group, a gap ends the job only when it is met again
// after a rejoin; for a transient query at once.
func TestGapIsMetTwice(t *testing.T) {
	gap := topic.ErrGap{Span: topic.Span{Partition: topic.Partition{Topic: "x"}, From: 3, To: 9}}
	later := gap
	later.From = 5
	w := &Worker{member: seat{}}
	for i, step := range []struct {
		err  error
		lost bool
	}{{gap, true}, {later, true}, {later, false}, {later, false}} {
		err := w.fetched(t.Context(), reads(step.err))
		var got topic.ErrGap
		if errors.Is(err, topic.ErrLost) != step.lost || !errors.As(err, &got) {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if err := (&Worker{}).fetched(t.Context(), reads(gap)); errors.Is(err, topic.ErrLost) {
		t.Errorf("without a group: %v", err)
	}
}
