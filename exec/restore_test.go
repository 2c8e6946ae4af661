package exec

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// fixed is a source that returns a fixed list of fetches.
type fixed struct {
	topic.Source
	fetches []topic.Fetch
}

func (s *fixed) Open(context.Context, []topic.Span) (topic.Reader, error) { return s, nil }
func (s *fixed) Close() error                                             { return nil }
func (s *fixed) Poll(context.Context) ([]topic.Fetch, error) {
	if len(s.fetches) == 0 {
		return nil, io.EOF
	}
	f := s.fetches[:1]
	s.fetches = s.fetches[1:]
	return f, nil
}

// TestReplayTrustsNobody: a replay fails if it does not receive the whole changelog, or not in
// time.
func TestReplayTrustsNobody(t *testing.T) {
	p := topic.Partition{Topic: "log"}
	span := topic.Span{Partition: p, To: 9}
	piece := func(from, next topic.Offset) topic.Fetch { return topic.Fetch{Partition: p, From: from, Next: next} }
	for _, c := range []struct {
		name    string
		fetches []topic.Fetch
		late    bool
		want    string
	}{
		{"whole", []topic.Fetch{piece(0, 4), piece(4, 9)}, false, ""},
		{"skipped", []topic.Fetch{piece(0, 4), piece(6, 9)}, false, "the reader is at offset 6, the state at 4"},
		{"again", []topic.Fetch{piece(0, 4), piece(2, 9)}, false, "the reader is at offset 2, the state at 4"},
		{"short", []topic.Fetch{piece(0, 4)}, false, "the reader ended at offset 4 instead of 9"},
		{"late", []topic.Fetch{piece(0, 9)}, true, "the replay took longer than 1h"},
	} {
		db, err := state.OpenDB("", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := state.NewReplay(db.DB, "t")
		if err != nil {
			t.Fatal(err)
		}
		l := &Log{Horizon: time.Hour}
		err = l.replay(
			ctx,
			&fixed{fetches: c.fetches},
			r,
			"id",
			span,
			func() bool { return c.late },
			func(*topic.Fetch) {},
		)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, topic.ErrLost) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
		r.Close()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// knows is a member that returns fixed positions of the group.
type knows struct {
	topic.Member
	at  map[topic.Partition]topic.Offset
	err error
}

func (k knows) Committed(context.Context, ...topic.Partition) (map[topic.Partition]topic.Offset, error) {
	return k.at, k.err
}

// TestDisagree: state and group disagree for good only if the group's positions do not move.
func TestDisagree(t *testing.T) {
	p := topic.Partition{Topic: "log"}
	before := map[topic.Partition]topic.Offset{p: 8}
	dropped := errors.New("dropped")
	for _, c := range []struct {
		now  knows
		want error
	}{
		{knows{at: map[topic.Partition]topic.Offset{p: 8}}, ErrMoved},
		{knows{at: map[topic.Partition]topic.Offset{p: 13}}, topic.ErrLost},
		{knows{err: dropped}, dropped},
	} {
		w := &Worker{member: c.now}
		if err := w.disagree(ctx, before, []topic.Partition{p}, ErrMoved); !errors.Is(err, c.want) {
			t.Errorf("got %v, want %v", err, c.want)
		}
	}
}
