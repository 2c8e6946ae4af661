package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"go.uber.org/goleak"
)

// crew is a group of a site: four tasks, an input of four partitions, an output.
type crew struct {
	*site
	group   topic.Group
	in, out string
}

func newCrew(s *site, b *Broker) *crew {
	c := &crew{site: s, in: s.topic(b, "in", 4), out: s.topic(b, "out", 1)}
	log := s.topic(b, "changelog", 4)
	c.group = topic.Group{Name: "g", Reads: []string{c.in}}
	for i := range int32(4) {
		c.group.Tasks = append(c.group.Tasks, topic.Partition{Topic: log, ID: i})
	}
	return c
}

func (c *crew) join(b *Broker, change ...func(*topic.Group)) *member {
	c.t.Helper()
	g := c.group
	g.Address = b.c.Instance + ":1"
	for _, f := range change {
		f(&g)
	}
	m, err := b.Join(c.t.Context(), g)
	must(c.t, err)
	c.t.Cleanup(func() { m.Close() })
	return m.(*member)
}

// settle calls Next until a member has n tasks.
func settle(t testing.TB, m *member, n int) topic.Assignment {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for {
		a, err := m.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %d tasks: %v", n, err)
		}
		if len(a.Tasks) == n && len(a.Owners) == 4 {
			return a
		}
	}
}

// keepFollowing calls Next until the membership ends, as a worker without pending work does.
func keepFollowing(m *member) { go drain(m, make(chan topic.Assignment, 1000)) }

func drain(m *member, to chan<- topic.Assignment) {
	for {
		a, err := m.Next(context.Background())
		if err != nil {
			close(to)
			return
		}
		to <- a
	}
}

// commit writes a value and moves positions.
func commit(m *member, to string, value string, read map[topic.Partition]topic.Offset) error {
	txn, err := m.Begin(context.Background())
	if err != nil {
		return err
	}
	if err := txn.Write(topic.Partition{Topic: to}, lines(value)...); err != nil {
		return errors.Join(err, txn.Abort(context.Background()))
	}
	return txn.Commit(context.Background(), read)
}

func (c *crew) at(offset topic.Offset) map[topic.Partition]topic.Offset {
	return map[topic.Partition]topic.Offset{{Topic: c.in}: offset, {Topic: c.in, ID: 3}: offset + 1}
}

func (c *crew) positions(m *member) map[topic.Partition]topic.Offset {
	c.t.Helper()
	ctx, stop := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer stop()
	got, err := m.Committed(
		ctx,
		topic.Partition{Topic: c.in},
		topic.Partition{Topic: c.in, ID: 1},
		topic.Partition{Topic: c.in, ID: 3},
	)
	must(c.t, err)
	return got
}

func leaks(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

// seen waits for an assignment of n tasks to a member whose Next is called by another
// goroutine.
func seen(t testing.TB, m *member, n int) topic.Assignment {
	t.Helper()
	for range 1000 {
		m.mu.Lock()
		a := m.returned
		m.mu.Unlock()
		if len(a.Tasks) == n && len(a.Owners) == 4 {
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %d tasks", n)
	return topic.Assignment{}
}
