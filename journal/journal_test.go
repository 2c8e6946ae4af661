package journal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/topic"
)

// forbidden is a broker whose catalog can be described but not read once shut is set.
type forbidden struct {
	topic.Source
	topic.Sink
	to   topic.Offset
	shut error
}

func (f *forbidden) Describe(context.Context, string) (topic.Topic, error) {
	return topic.Topic{Partitions: []topic.Span{{From: f.to, To: f.to}}}, nil
}

func (f *forbidden) Open(context.Context, []topic.Span) (topic.Reader, error) { return nil, f.shut }

// TestForbidden: if the log grows but must not be read, waiting for the newest entry ends with
// the cause.
func TestForbidden(t *testing.T) {
	b := &forbidden{shut: topic.ErrRefused}
	said := make(chan error, 100)
	l := New(
		Config{
			Broker:  b,
			Topic:   "catalog",
			Warn:    func(err error) { said <- err },
			Pause:   time.Millisecond,
			Every:   time.Hour,
			Passing: topic.Passing,
		},
		catalog.New(),
	)
	if err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b.to = 1
	go l.Follow(ctx)
	for range 3 {
		if err := l.CatchUp(ctx); !errors.Is(err, topic.ErrRefused) {
			t.Errorf("a log that may not be read: %v", err)
		}
	}
	if n := len(said); n != 1 {
		t.Errorf("it is said %d times in an interval", n)
	}
}

// TestFollowEnds: waiting for the newest entry ends with the following, even if the context of the
// caller does not end.
func TestFollowEnds(t *testing.T) {
	b := &forbidden{shut: topic.ErrUnreachable}
	l := New(
		Config{Broker: b, Topic: "catalog", Warn: func(error) {}, Pause: time.Hour, Passing: topic.Passing},
		catalog.New(),
	)
	if err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.to = 1
	following, stop := context.WithCancel(t.Context())
	go l.Follow(following)
	waited := make(chan error)
	go func() { waited <- l.CatchUp(context.Background()) }()
	stop()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of Follow: %v", err)
	}
}
