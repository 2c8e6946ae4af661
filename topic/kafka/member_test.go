package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
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

// letGo goes on calling Next, as a worker without work does, until the member ends.
func letGo(m *member) { go drain(m, make(chan topic.Assignment, 1000)) }

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
	got, err := m.Committed(ctx, topic.Partition{Topic: c.in}, topic.Partition{Topic: c.in, ID: 1}, topic.Partition{Topic: c.in, ID: 3})
	must(c.t, err)
	return got
}

func leaks(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

// One member: all tasks, positions that come back, an abort that moves nothing, and a second life that goes on.
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
			if !slices.Equal(a.Tasks, c.group.Tasks) || a.Owners[a.Tasks[2]] != "a:1" || a.Epoch < 1 || len(a.Standbys) > 0 {
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
	if _, err := b.Join(t.Context(), topic.Group{Name: "g"}); err == nil || !strings.Contains(err.Error(), "no tasks") {
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
	must(t, commit(m, c.out, "v", c.at(2))) // the member is as it was
	if got := c.positions(m); !maps.Equal(got, c.at(2)) {
		t.Fatalf("positions %v", got)
	}
}

// A second member gets tasks only when the first one has called Next again, and the first one commits until then.
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
	for i := range 5 { // the worker still has all it had
		must(t, commit(first, c.out, fmt.Sprint(i), c.at(topic.Offset(i))))
		time.Sleep(100 * time.Millisecond)
	}
	for len(got) > 0 {
		if a := <-got; len(a.Tasks) > 0 {
			t.Fatalf("the second has %v before the first let go", a.Tasks)
		}
	}
	letGo(first)
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

// A worker that never lets go loses its place; closing it while it is waited for is quick.
func TestMemberDoesNotLetGo(t *testing.T) {
	leaks(t)
	s := newSite(t)
	b1, _ := s.open("a", func(c *Config) { c.RebalanceTimeout = 2 * time.Second })
	b2, _ := s.open("b", func(c *Config) { c.RebalanceTimeout = 2 * time.Second })
	c := newCrew(s, b1)
	first := c.join(b1)
	settle(t, first, 4)
	second := c.join(b2)
	settle(t, second, 4) // nothing of it while the first one does not let go, so all of it
	if err := commit(first, c.out, "late", c.at(1)); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	if _, err := first.Next(t.Context()); !errors.Is(err, topic.ErrLost) {
		t.Fatal(err)
	}
	must(t, first.Close())

	first = c.join(b1)
	for { // until the second one is asked to let go
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

// A process that is cut off loses its tasks when its session ends; what it commits when it is back is refused.
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
	_, err = zombie.(*turn).flush(t.Context())
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
	letGo(second)
	first = c.join(b1)
	settle(t, first, 2)
	if got := c.positions(first); !maps.Equal(got, c.at(2)) {
		t.Fatalf("positions %v", got)
	}
	if got := c.values(c.out); !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("got %q", got)
	}
}

// The positions wait for a transaction that has sent its own and is not decided.
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
	_, err = txn.(*turn).flush(t.Context())
	must(t, err)
	must(t, txn.(*turn).move(t.Context(), c.at(5)))

	second := c.join(b2)
	letGo(first)
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

// The request or the answer of EndTxn is lost: the member ends, and its next life finds all of the transaction or nothing.
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

// A second process with the same instance fences the first.
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
	_, err = txn.(*turn).flush(t.Context())
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
	_, err = txn.(*turn).flush(t.Context())
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

// A durable process that comes back keeps its place, and a change of its tasks is noticed.
func TestMemberDurable(t *testing.T) {
	s := newSite(t)
	durable := func(c *Config) { c.Durable, c.SessionTimeout = true, 10*time.Second }
	b1, _ := s.open("a", durable)
	b2, _ := s.open("b", durable)
	c := newCrew(s, b1)
	first, second := c.join(b1), c.join(b2)
	letGo(first)
	settle(t, second, 2)
	before := settle2(t, first, 2)
	must(t, first.Close())
	first = c.join(b1)
	after := settle(t, first, 2)
	if !slices.Equal(before.Tasks, after.Tasks) {
		t.Fatalf("had %v, got %v", before.Tasks, after.Tasks)
	}
	must(t, commit(first, c.out, "v", c.at(1)))
	must(t, first.Close())
	letGo(second)
	first = c.join(b1, func(g *topic.Group) { g.Address = "elsewhere:1" })
	for a := settle(t, first, 2); a.Owners[a.Tasks[0]] != "elsewhere:1"; a = settle(t, first, 2) {
	}
	// Its double is refused, not the other way round.
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

// settle2 waits for a member whose Next is called by somebody else.
func settle2(t testing.TB, m *member, n int) topic.Assignment {
	t.Helper()
	for range 1000 {
		m.mu.Lock()
		a := m.told
		m.mu.Unlock()
		if len(a.Tasks) == n && len(a.Owners) == 4 {
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %d tasks", n)
	return topic.Assignment{}
}
