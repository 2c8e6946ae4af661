package kafka

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

// TestMemberAlone: one member has all tasks, its positions are stored, an abort moves nothing,
// and the next process of the instance continues.
func TestMemberAlone(t *testing.T) {
	for name, version := range map[string]*kversion.Versions{"": nil, "before KIP-890": kversion.V3_5_0()} {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			s := newSite(t)
			if version != nil {
				s = newFakeSite(t, kfake.MaxVersions(version))
			}
			b, _ := s.open("a")
			c := newCrew(s, b)
			m := c.join(b)
			a := settle(t, m, 4)
			if s.fake != nil && m.txn2 != (version == nil) {
				t.Fatalf("transaction.version 2: %v", m.txn2)
			}
			t.Log("transaction.version 2:", m.txn2)
			if !slices.Equal(a.Tasks, c.group.Tasks) || a.Owners[a.Tasks[2]] != "a:1" || a.Epoch < 1 ||
				len(a.Standbys) > 0 {
				t.Fatalf("got %+v", a)
			}
			if got := c.positions(m); len(got) != 0 {
				t.Fatalf("positions %v", got)
			}
			must(t, commit(m, c.out, "one", c.at(7)))
			must(t, commit(m, c.out, "two", c.at(8)))
			txn, err := m.Begin(t.Context())
			must(t, err)
			must(t, txn.Write(topic.Partition{Topic: c.out}, lines("no")...))
			must(t, txn.Abort(t.Context()))
			must(t, commit(m, c.out, "three", c.at(9)))
			must(t, m.Close())
			must(t, m.Close())
			if _, err := m.Next(t.Context()); err == nil {
				t.Fatal("a closed member has a place")
			}
			again := c.join(b)
			settle(t, again, 4)
			if got := c.positions(again); !maps.Equal(got, c.at(9)) {
				t.Fatalf("positions %v", got)
			}
			if got := c.values(c.out); !slices.Equal(got, []string{"one", "two", "three"}) {
				t.Fatalf("got %q", got)
			}
			must(t, again.Close())
		})
	}
}

func TestMemberRefusals(t *testing.T) {
	s := newSite(t)
	b, _ := s.open("a")
	c := newCrew(s, b)
	if _, err := b.Join(t.Context(), topic.Group{Name: "g"}); err == nil ||
		!strings.Contains(err.Error(), "no tasks") {
		t.Fatal(err)
	}
	nobody, _ := s.open("")
	if _, err := nobody.Join(t.Context(), c.group); err == nil || !strings.Contains(err.Error(), "Config.Instance") {
		t.Fatal(err)
	}
	m := c.join(b)
	settle(t, m, 4)
	txn, err := m.Begin(t.Context())
	must(t, err)
	if _, err := m.Begin(t.Context()); err == nil {
		t.Fatal("two transactions at a time")
	}
	if err := txn.Commit(t.Context(), c.at(1)); !errors.Is(err, errNothing) || errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	must(t, commit(m, c.out, "v", c.at(2))) // the member is unchanged
	if got := c.positions(m); !maps.Equal(got, c.at(2)) {
		t.Fatalf("positions %v", got)
	}
}

// TestMemberHandOver: a second member receives tasks only when the first has called Next again,
// and until then the first can commit.
func TestMemberHandOver(t *testing.T) {
	s := newSite(t)
	b1, _ := s.open("a")
	b2, _ := s.open("b")
	b3, _ := s.open("c")
	c := newCrew(s, b1)
	first := c.join(b1)
	settle(t, first, 4)
	second := c.join(b2)
	got := make(chan topic.Assignment, 1000)
	go drain(second, got)

	kept, err := first.Next(t.Context())
	must(t, err)
	if len(kept.Tasks) != 2 {
		t.Fatalf("the first keeps %v", kept.Tasks)
	}
	for i := range 5 { // the worker still has all its tasks
		must(t, commit(first, c.out, fmt.Sprint(i), c.at(topic.Offset(i))))
		time.Sleep(100 * time.Millisecond)
	}
	for len(got) > 0 {
		if a := <-got; len(a.Tasks) > 0 {
			t.Fatalf("the second has %v before the first let go", a.Tasks)
		}
	}
	keepFollowing(first)
	for a := range got {
		if len(a.Tasks) == 2 {
			if a.Owners[kept.Tasks[0]] != "a:1" || a.Owners[a.Tasks[0]] != "b:1" || a.Epoch <= kept.Epoch {
				t.Fatalf("got %+v after %+v", a, kept)
			}
			break
		}
	}
	must(t, commit(second, c.out, "b", c.at(50)))
	must(t, commit(first, c.out, "a", map[topic.Partition]topic.Offset{{Topic: c.in, ID: 1}: 1}))

	third := c.join(b3)
	settle(t, third, 1)
	must(t, second.Close())
	settle(t, third, 2)
	must(t, commit(third, c.out, "c", c.at(60)))
	must(t, first.Close())
	settle(t, third, 4)
	if got := c.values(c.out); len(got) != 8 {
		t.Fatalf("got %q", got)
	}
}

// TestMemberDoesNotLetGo: a worker that never releases its tasks loses its membership, and
// Close does not wait for it.
func TestMemberDoesNotLetGo(t *testing.T) {
	leaks(t)
	s := newSite(t)
	b1, _ := s.open("a", func(c *Config) { c.RebalanceTimeout = 2 * time.Second })
	b2, _ := s.open("b", func(c *Config) { c.RebalanceTimeout = 2 * time.Second })
	c := newCrew(s, b1)
	first := c.join(b1)
	settle(t, first, 4)
	second := c.join(b2)
	settle(t, second, 4) // none while the first has not released them, so then all of them
	if err := commit(first, c.out, "late", c.at(1)); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	if _, err := first.Next(t.Context()); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	must(t, first.Close())

	first = c.join(b1)
	for { // until the second is requested to release a task
		second.mu.Lock()
		asked := second.takenAway()
		second.mu.Unlock()
		if asked {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	begin := time.Now()
	must(t, second.Close())
	if d := time.Since(begin); d > time.Second {
		t.Fatalf("closing took %s", d)
	}
	settle(t, first, 4)
	must(t, first.Close())
}

// TestMemberDurable: a durable process that restarts keeps its membership, and a change of its
// tasks is noticed.
func TestMemberDurable(t *testing.T) {
	s := newSite(t)
	durable := func(c *Config) { c.Durable, c.SessionTimeout = true, 10*time.Second }
	b1, _ := s.open("a", durable)
	b2, _ := s.open("b", durable)
	c := newCrew(s, b1)
	first, second := c.join(b1), c.join(b2)
	keepFollowing(first)
	settle(t, second, 2)
	before := seen(t, first, 2)
	must(t, first.Close())
	first = c.join(b1)
	after := settle(t, first, 2)
	if !slices.Equal(before.Tasks, after.Tasks) {
		t.Fatalf("had %v, got %v", before.Tasks, after.Tasks)
	}
	must(t, commit(first, c.out, "v", c.at(1)))
	must(t, first.Close())
	keepFollowing(second)
	first = c.join(b1, func(g *topic.Group) { g.Address = "elsewhere:1" })
	for a := settle(t, first, 2); a.Owners[a.Tasks[0]] != "elsewhere:1"; a = settle(t, first, 2) {
	}
	// The newer process of the instance fences the older one, not the other way round.
	b3, _ := s.open("a", durable)
	double := c.join(b3)
	settle(t, double, 2)
	for {
		if _, err := first.Next(t.Context()); err != nil {
			if !errors.Is(err, topic.ErrLost) {
				t.Fatal(err)
			}
			break
		}
	}
}

// TestMemberOfAClosedBroker: if the broker is closed under a member, the member returns the
// error.
func TestMemberOfAClosedBroker(t *testing.T) {
	leaks(t)
	s := newSite(t)
	b, _ := s.open("a")
	c := newCrew(s, b)
	m := c.join(b)
	settle(t, m, 4)
	time.AfterFunc(50*time.Millisecond, func() { b.Close() })
	if _, err := m.Next(t.Context()); !errors.Is(err, errClosed) {
		t.Fatal(err)
	}
	must(t, m.Close())
}

// TestMemberCollected: an open broker does not retain the members that have left.
func TestMemberCollected(t *testing.T) {
	s := newFakeSite(t)
	b, _ := s.open("a")
	c := newCrew(s, b)
	collected := make(chan bool)
	func() {
		m, err := b.Join(t.Context(), c.group)
		must(t, err)
		must(t, m.Close())
		runtime.AddCleanup(m.(*member), func(c chan bool) { close(c) }, collected)
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Error("the broker retains the member")
}
