package kafka

import (
	"errors"
	"strings"
	"testing"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kadm"
)

func TestTopicDeleted(t *testing.T) {
	c := newCluster(t, nil)
	for _, again := range []bool{false, true} {
		p := topic.Partition{Topic: c.topic(1, false)}
		write(t, c.producer(), p, 0, 10)
		before, err := c.Describe(t.Context(), p.Topic)
		if err != nil {
			t.Fatal(err)
		}
		r, f := openLive(c, p, 0)
		if err := pollUntil(t, r, f, 10); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), p.Topic); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Describe(t.Context(), p.Topic); !errors.Is(err, topic.ErrUnknownTopic) {
			t.Fatal(err)
		}
		if again {
			if err := c.Create(t.Context(), p.Topic, topic.Config{Partitions: 1, RetentionMs: -1}); err != nil {
				t.Fatal(err)
			}
			write(t, c.producer(), p, 100, 120)
			if after, err := c.Describe(t.Context(), p.Topic); err != nil || after.ID == before.ID || after.ID == "" {
				t.Fatalf("id %q was %q, %v", after.ID, before.ID, err)
			}
		}
		if err := pollUntil(t, r, f, 11); !errors.Is(err, topic.ErrTopicReplaced) ||
			!strings.Contains(err.Error(), p.Topic) {
			t.Fatal(err)
		}
	}
}

func (c *cluster) deleteRecords(p topic.Partition, to topic.Offset) {
	c.t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: p.Topic, Partition: p.ID, At: int64(to)})
	got, err := kadm.NewClient(c.cl).DeleteRecords(c.t.Context(), os)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestGap(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer()
	for n := range 5 {
		write(t, cl, p, 10*n, 10*n+10)
	}
	c.deleteRecords(p, 25)
	if s := c.spans(p.Topic); s[0].From != 25 || s[0].To != 50 {
		t.Fatalf("%v", s)
	}
	same(t, values(c.read(c.Broker, c.spans(p.Topic))), numbers(25, 50))
	for _, s := range []topic.Span{{Partition: p, From: 3, To: 50}, {Partition: p, From: 3, To: 10}} {
		r, err := c.Open(t.Context(), []topic.Span{s})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 2 { // the error is returned again
			_, err = r.Poll(t.Context())
			var gap topic.ErrGap
			if want := (topic.Span{Partition: p, From: 3, To: min(25, s.To)}); !errors.As(err, &gap) ||
				gap.Span != want {
				t.Fatalf("%v, want %v", err, want)
			}
		}
	}
}

// TestBehindTheEnd: a reader at an offset after the end never moves back.
func TestBehindTheEnd(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	write(t, c.producer(), p, 0, 10)
	r, f := openLive(c, p, 15)
	if err := pollUntil(t, r, f, 1); !errors.Is(err, topic.ErrTopicReplaced) || !strings.Contains(err.Error(), "10") {
		t.Fatal(err)
	}
}
