package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
)

// TestMemberZombie: a partitioned process loses its tasks when its session expires, and its
// commits after the partition are refused.
func TestMemberZombie(t *testing.T) {
	s := newSite(t)
	b1, line := s.open("a")
	b2, _ := s.open("b")
	c := newCrew(s, b1)
	first := c.join(b1)
	settle(t, first, 4)
	must(t, commit(first, c.out, "one", c.at(1)))
	zombie, err := first.Begin(t.Context())
	must(t, err)
	must(t, zombie.Write(topic.Partition{Topic: c.out}, lines("zombie")...))
	_, err = zombie.(*memberTxn).flush(t.Context())
	must(t, err)
	line.cut()
	second := c.join(b2)
	settle(t, second, 4)
	if got := c.positions(second); !maps.Equal(got, c.at(1)) {
		t.Fatalf("positions %v", got)
	}
	must(t, commit(second, c.out, "two", c.at(2)))
	line.mend()
	if err := zombie.Commit(t.Context(), c.at(9)); !errors.Is(err, topic.ErrLost) {
		t.Fatalf("the zombie: %v", err)
	}
	if _, err := first.Begin(t.Context()); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	must(t, first.Close())
	keepFollowing(second)
	first = c.join(b1)
	settle(t, first, 2)
	if got := c.positions(first); !maps.Equal(got, c.at(2)) {
		t.Fatalf("positions %v", got)
	}
	if got := c.values(c.out); !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("got %q", got)
	}
}

// TestMemberWaitsForUndecided: Committed waits for an undecided transaction that has sent
// positions.
func TestMemberWaitsForUndecided(t *testing.T) {
	s := newSite(t)
	b1, _ := s.open("a")
	b2, _ := s.open("b")
	c := newCrew(s, b1)
	first := c.join(b1)
	settle(t, first, 4)
	txn, err := first.Begin(t.Context())
	must(t, err)
	must(t, txn.Write(topic.Partition{Topic: c.out}, lines("v")...))
	_, err = txn.(*memberTxn).flush(t.Context())
	must(t, err)
	must(t, txn.(*memberTxn).move(t.Context(), c.at(5)))

	second := c.join(b2)
	keepFollowing(first)
	settle(t, second, 2)
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if got, err := second.Committed(ctx, topic.Partition{Topic: c.in}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, %v", got, err)
	}
	done := make(chan map[topic.Partition]topic.Offset, 1)
	go func() { done <- c.positions(second) }()
	time.Sleep(100 * time.Millisecond)
	must(t, txn.Commit(t.Context(), c.at(6)))
	if got := <-done; !maps.Equal(got, c.at(6)) {
		t.Fatalf("positions %v", got)
	}
}

// TestMemberEndLost: if the request or the response of EndTxn is lost, the membership ends, and
// the next process finds all of the transaction or nothing.
func TestMemberEndLost(t *testing.T) {
	for _, reply := range []bool{false, true} {
		t.Run(fmt.Sprint("reply ", reply), func(t *testing.T) {
			leaks(t)
			s := newFakeSite(t)
			b, line := s.open("a")
			c := newCrew(s, b)
			m := c.join(b)
			settle(t, m, 4)
			must(t, commit(m, c.out, "one", c.at(1)))
			loseEnd(s, line, reply)
			if err := commit(m, c.out, "two", c.at(2)); !errors.Is(err, topic.ErrLost) {
				t.Fatal(err)
			}
			for _, f := range []func() error{
				func() error { _, err := m.Begin(t.Context()); return err },
				func() error { _, err := m.Next(t.Context()); return err },
			} {
				if err := f(); !errors.Is(err, topic.ErrLost) {
					t.Fatal(err)
				}
			}
			line.mend()
			must(t, m.Close())
			m = c.join(b)
			settle(t, m, 4)
			at, want := c.at(1), []string{"one"}
			if reply {
				at, want = c.at(2), []string{"one", "two"}
			}
			if got := c.positions(m); !maps.Equal(got, at) {
				t.Fatalf("positions %v, want %v", got, at)
			}
			if got := c.values(c.out); !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			must(t, m.Close())
		})
	}
}

// TestMemberFencedByItsNextLife: a second process of the same instance fences the first.
func TestMemberFencedByItsNextLife(t *testing.T) {
	s := newSite(t)
	b1, _ := s.open("a")
	b2, _ := s.open("a")
	c := newCrew(s, b1)
	first := c.join(b1)
	settle(t, first, 4)
	txn, err := first.Begin(t.Context())
	must(t, err)
	must(t, txn.Write(topic.Partition{Topic: c.out}, lines("old")...))
	_, err = txn.(*memberTxn).flush(t.Context())
	must(t, err)
	c.join(b2)
	if err := txn.Commit(t.Context(), c.at(1)); !errors.Is(err, topic.ErrLost) || !errors.Is(err, topic.ErrFenced) {
		t.Fatal(err)
	}
	if got := c.values(c.out); len(got) != 0 {
		t.Fatalf("got %q", got)
	}
}

func TestMemberAtLeastOnce(t *testing.T) {
	s := newSite(t)
	b1, line := s.open("a")
	b2, _ := s.open("b")
	c := newCrew(s, b1)
	plain := func(g *topic.Group) { g.AtLeastOnce = true }
	first := c.join(b1, plain)
	settle(t, first, 4)
	txn, err := first.Begin(t.Context())
	must(t, err)
	must(t, txn.Write(topic.Partition{Topic: c.out}, lines("one")...))
	_, err = txn.(*memberTxn).flush(t.Context())
	must(t, err)
	if got := c.values(c.out); len(got) != 1 {
		t.Fatalf("not visible at once: %q", got)
	}
	must(t, txn.Commit(t.Context(), c.at(1)))
	if ends := txn.(topic.Placer).Ends(); ends[topic.Partition{Topic: c.out}] != 1 {
		t.Fatalf("ends %v", ends)
	}
	line.cut()
	second := c.join(b2, plain)
	settle(t, second, 4)
	if got := c.positions(second); !maps.Equal(got, c.at(1)) {
		t.Fatalf("positions %v", got)
	}
	must(t, commit(second, c.out, "two", c.at(2)))
	line.mend()
	if err := commit(first, c.out, "again", c.at(1)); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	if got := c.positions(second); !maps.Equal(got, c.at(2)) {
		t.Fatalf("positions %v", got)
	}
}

// TestMemberWriteAfterLoss: records that are written after the membership is lost are lost as
// well; the worker recovers and does not fail.
func TestMemberWriteAfterLoss(t *testing.T) {
	s := newFakeSite(t)
	b, _ := s.open("a")
	c := newCrew(s, b)
	m := c.join(b)
	settle(t, m, 4)
	txn, err := m.Begin(t.Context())
	must(t, err)
	must(t, txn.Write(topic.Partition{Topic: c.out}, lines("one")...))
	lost := m
	lost.mu.Lock()
	lost.lose(errors.New("its session has ended"))
	lost.mu.Unlock()
	other := s.topic(b, "other", 1) // of which the client has no metadata yet
	if err := txn.Write(topic.Partition{Topic: other}, lines("two")...); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
}
