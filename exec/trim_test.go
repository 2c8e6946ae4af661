package exec

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
)

type trimmer struct {
	at   map[topic.Partition]topic.Offset
	fail error
}

func (t *trimmer) Trim(_ context.Context, before map[topic.Partition]topic.Offset) error {
	if t.fail == nil {
		maps.Copy(t.at, before)
	}
	return t.fail
}

func TestTrims(t *testing.T) {
	type offsets = map[topic.Partition]topic.Offset
	a, b := topic.Partition{Topic: "x"}, topic.Partition{Topic: "x", ID: 1}
	to := &trimmer{at: offsets{}}
	trims := NewTrims(time.Minute)
	away := errors.New("away")
	for i, step := range []struct {
		seconds   int64
		committed offsets
		fail      error
		due       offsets
	}{
		{0, offsets{a: 5, b: 0}, nil, nil},
		{1, offsets{a: 9, b: 0}, nil, nil},
		{60, offsets{a: 20, b: 3}, nil, offsets{a: 5}},          // the positions committed an interval ago
		{90, offsets{a: 30, b: 7}, nil, nil},                    // not yet
		{120, offsets{a: 40, b: 9}, away, offsets{a: 20, b: 3}}, // which fails
		{180, offsets{a: 40, b: 9}, nil, offsets{a: 40, b: 9}},
		{240, offsets{a: 40, b: 9}, nil, nil}, // nothing new
		{300, offsets{a: 50}, nil, nil},       // b has moved away,
		{360, offsets{a: 50, b: 80}, nil, offsets{a: 50}},
		{420, offsets{a: 50, b: 81}, nil, offsets{b: 80}}, // and come back
	} {
		due := trims.Due(time.Unix(step.seconds, 0), step.committed)
		if !maps.Equal(due, step.due) {
			t.Errorf("step %d: %v is due, want %v", i, due, step.due)
		}
		to.fail = step.fail
		if to.Trim(t.Context(), due) == nil {
			trims.Done(due)
		}
	}
	if !maps.Equal(to.at, offsets{a: 50, b: 80}) {
		t.Errorf("trimmed to %v", to.at)
	}
}
