package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// TestPhases holds the table of phases: any other change is a broken invariant.
func TestPhases(t *testing.T) {
	all := []phase{absent, restoring, standby, running, leaving}
	legal := []string{
		"absent restoring",
		"absent standby",
		"restoring running",
		"restoring leaving",
		"standby leaving",
		"running leaving",
		"leaving absent",
	}
	for _, from := range all {
		for _, to := range all {
			u := &slot{name: "j.0.0", phase: from}
			step := fmt.Sprint(from, " ", to)
			failed := guard(func() error { u.to(to); return nil })
			if slices.Contains(legal, step) != (failed == nil) || failed == nil && u.phase != to ||
				failed != nil && u.phase != from {
				t.Errorf("%s: %v, and the slot is %s", step, failed, u.phase)
			}
		}
	}
}

// machine is a worker whose feeder is the test. Its stores record whether they are closed.
type machine struct {
	*world
	*Worker
	closed []string
	now    time.Time
}

type watched struct {
	state.Store
	close func()
}

func (s watched) Close() error { s.close(); return s.Store.Close() }

func newMachine(t *testing.T, s *sums) *machine {
	t.Helper()
	m := &machine{world: newWorld(t, 10), now: time.UnixMilli(1000)}
	open := m.world.env.Store
	m.world.env.Store = func(task string) (state.Store, error) {
		inner, err := open(task)
		return watched{inner, func() { m.closed = append(m.closed, task) }}, err
	}
	m.world.env.Now = func() time.Time { return m.now }
	m.world.env.Interval = time.Second
	w, err := newWorker(ctx, "j", []Stage{m.stage(s, topic.End, false)}, m.world.env)
	if err != nil {
		t.Fatal(err)
	}
	m.Worker = w
	t.Cleanup(func() { _ = w.Close(ctx) })
	m.does("begin", w.begin(ctx, following), "join")
	member, err := m.b.Join(ctx, topic.Group{Name: "j"})
	m.does("join", errors.Join(err, w.step(ctx, joined{member: member})), "await assignment")
	return m
}

// does checks the commands that a step has ordered, and takes them as started.
func (m *machine) does(step string, err error, want ...string) {
	m.Helper()
	var got []string
	for _, c := range m.todo {
		switch c := c.(type) {
		case toJoin:
			got = append(got, "join")
		case toAsk:
			got = append(got, "await assignment")
		case toRestore:
			got = append(got, "restore "+c.name)
		case toWarm:
			got = append(got, "warm "+c.name)
		case toDrop:
			got = append(got, "drop "+c.name)
		case toPoll:
			got = append(got, "poll "+c.span.Partition.String())
		case toLook:
			got = append(got, "look "+strings.Join(c.topics, " "))
		case toSave:
			got = append(got, "save "+strings.Join(c.tasks, " "))
		}
	}
	m.todo = nil
	if err != nil || !slices.Equal(got, want) {
		m.Errorf("%s: %q is to be done, want %q (%v)", step, got, want, err)
	}
}

// assigns delivers an assignment: the tasks to run and the standby copies to maintain, by
// number.
func (m *machine) assigns(tasks, copies []int) error {
	var a topic.Assignment
	for _, i := range tasks {
		a.Tasks = append(a.Tasks, m.slots[i].changelog)
	}
	for _, i := range copies {
		a.Standbys = append(a.Standbys, m.slots[i].changelog)
	}
	return m.step(ctx, assignment{Assignment: a})
}

// restored is the event that delivers a slot's store.
func (m *machine) restored(i int) prepared {
	store, err := m.world.env.Store(m.slots[i].name)
	return prepared{slot: m.slots[i], store: store, id: "id", err: err}
}

// arrives delivers the records of a partition to a task.
func (m *machine) arrives(i int) fetched {
	m.Helper()
	if len(m.slots[i].reads) != 1 {
		m.Fatalf("%d partitions are read for %s", len(m.slots[i].reads), m.slots[i].name)
	}
	r := m.slots[i].reads[0]
	reader, err := m.b.Open(ctx, []topic.Span{r.span})
	if err != nil {
		m.Fatal(err)
	}
	defer reader.Close()
	fetches, err := reader.Poll(ctx)
	return fetched{r, fetches, err}
}

// TestLostWhileRestoring: a task that is revoked during its restore is not opened. If it is
// assigned again, its new restore waits for the end of the former one, because both would write
// into one store.
func TestLostWhileRestoring(t *testing.T) {
	m := newMachine(t, &sums{})
	m.does("given", m.assigns([]int{0}, nil), "restore j.0.0", "await assignment")
	m.does("taken away", m.assigns(nil, nil), "drop j.0.0", "await assignment")
	m.does("given back", m.assigns([]int{0}, nil), "await assignment")
	m.does("the first restore", m.step(ctx, m.restored(0)))
	if u := m.slots[0]; u.phase != leaving || u.task != nil || len(m.closed) != 1 {
		t.Errorf("the task is %s, %v are closed", u.phase, m.closed)
	}
	m.does("it has ended", m.step(ctx, dropped{m.slots[0]}), "restore j.0.0")
	m.does("the second restore", m.step(ctx, m.restored(0)), "poll in[0]")
	if m.slots[0].phase != running {
		t.Errorf("the task is %s", m.slots[0].phase)
	}
}

// TestRestoreFails: a failed restore ends the session, unless its task was revoked meanwhile.
func TestRestoreFails(t *testing.T) {
	m := newMachine(t, &sums{})
	m.does("given", m.assigns([]int{0, 1}, nil), "restore j.0.0", "restore j.0.1", "await assignment")
	m.does("one is taken away", m.assigns([]int{1}, nil), "drop j.0.0", "await assignment")
	bad := errors.New("bad")
	m.does("its restore fails", m.step(ctx, prepared{slot: m.slots[0], err: bad}))
	if err := m.step(ctx, prepared{slot: m.slots[1], err: bad}); !errors.Is(err, bad) {
		t.Errorf("the other's failure is %v", err)
	}
}

// TestStandbyPromoted: a standby that becomes the owner stops maintaining the copy before it
// restores.
func TestStandbyPromoted(t *testing.T) {
	m := newMachine(t, &sums{})
	m.does("a copy", m.assigns([]int{1}, []int{0}), "warm j.0.0", "restore j.0.1", "await assignment")
	m.does("again", m.assigns([]int{1}, []int{0}), "await assignment")
	m.does("promoted", m.assigns([]int{0, 1}, nil), "drop j.0.0", "await assignment")
	m.does("the copy ends with an error", m.step(ctx, standbyEnded{m.slots[0], context.Canceled}))
	m.does("it has ended", m.step(ctx, dropped{m.slots[0]}), "restore j.0.0")
	m.does("restored", m.step(ctx, m.restored(0)), "poll in[0]")
	m.does("demoted", m.assigns([]int{1}, []int{0}), "drop j.0.0", "await assignment")
	m.does("it has ended", m.step(ctx, dropped{m.slots[0]}), "warm j.0.0")
	if err := m.step(ctx, standbyEnded{m.slots[0], topic.ErrLost}); !errors.Is(err, topic.ErrLost) {
		t.Errorf("a copy that cannot be kept gives %v", err)
	}
}

// TestLeaveCommits: the work of a revoked task is committed before the next assignment is
// requested, and later fetches for it are dropped.
func TestLeaveCommits(t *testing.T) {
	m := newMachine(t, &sums{})
	m.put("1", "2", "3")
	m.does("given", m.assigns([]int{0, 1}, nil), "restore j.0.0", "restore j.0.1", "await assignment")
	m.does("restored", m.step(ctx, m.restored(0)), "poll in[0]")
	late := m.arrives(0)
	m.does("rows", m.step(ctx, late), "poll in[0]")
	if got := m.committed("out"); got != "[]" {
		t.Errorf("%s is committed before that is due", got)
	}
	m.does("taken away", m.assigns([]int{1}, nil), "drop j.0.0", "await assignment")
	if got := m.committed("out"); got != "[a=1 c=3]" || len(m.closed) != 1 || m.slots[0].task != nil {
		t.Errorf("%s is committed, %v are closed", got, m.closed)
	}
	m.does("more rows", m.step(ctx, late))
	m.does("it has ended", m.step(ctx, dropped{m.slots[0]}))
	if got := m.committed("out"); got != "[a=1 c=3]" || m.counts.Rows != 2 {
		t.Errorf("%s is committed, %d rows are read", got, m.counts.Rows)
	}
}

// TestLeaveHeld: a task that holds rows outside its state cannot be revoked in an orderly way.
// The member leaves the group, and nothing is committed.
func TestLeaveHeld(t *testing.T) {
	hold := true
	m := newMachine(t, &sums{hold: &hold})
	m.put("1")
	m.does("given", m.assigns([]int{0}, nil), "restore j.0.0", "await assignment")
	m.does("restored", m.step(ctx, m.restored(0)), "poll in[0]")
	m.does("rows", m.step(ctx, m.arrives(0)), "poll in[0]")
	m.now = m.now.Add(time.Hour)
	m.does("a commit is due", m.step(ctx, tick{}))
	if m.alarms.sleep < time.Minute {
		t.Errorf("it looks again after %s, though only another event can change that", m.alarms.sleep)
	}
	if err := m.assigns(nil, nil); !errors.Is(err, topic.ErrLost) {
		t.Errorf("it leaves with %v", err)
	}
	if got := m.committed("out"); got != "[]" {
		t.Errorf("%s is committed", got)
	}
}

// TestAlarms: commits, checks of topics and snapshots are due by the injected clock, each once.
func TestAlarms(t *testing.T) {
	m := newMachine(t, &sums{})
	l := &Log{
		Kept:      func(string) bool { return true },
		SaveEvery: time.Minute,
		Save:      func(context.Context, string) error { return nil },
	}
	m.Worker.env.Log = l
	m.does("begin", m.begin(ctx, following), "look in")
	pass := func(d time.Duration) error { m.now = m.now.Add(d); return m.step(ctx, tick{}) }
	m.does("nobody has looked yet", pass(20*time.Second))
	m.does("seen", m.step(ctx, looked{map[string]int{"in": 2}}))
	if m.alarms.sleep != topicsEvery {
		t.Errorf("it sleeps for %s", m.alarms.sleep)
	}
	m.does("ten seconds", pass(topicsEvery), "look in")
	m.does("as before", m.step(ctx, looked{map[string]int{"in": 2}}))
	m.does("a minute", pass(30*time.Second), "look in", "save ")
	var failed []string
	m.Worker.env.Fail = func(_ string, f Failure) { failed = append(failed, f.Code+" "+f.Source) }
	m.does("not saved", m.step(ctx, saved{map[string]error{"j.0.0": errors.New("full")}}))
	if !slices.Equal(failed, []string{"SQ7401 j.0.0"}) {
		t.Errorf("%q are reported", failed)
	}
	if err := m.step(ctx, looked{map[string]int{"in": 3}}); !errors.Is(err, ErrPartitions) {
		t.Errorf("one more partition gives %v", err)
	}
}

// committed returns the committed records of a topic as text.
func (m *machine) committed(name string) string { m.Helper(); return fmt.Sprint(m.world.read(name)) }

// sharing is a broker whose groups make the assignments of the test.
type sharing struct {
	topic.Broker
	news chan []int // the next assignment, by number of the task
	let  chan bool  // the last assignment was applied
}

type shared struct {
	topic.Member
	*sharing
	tasks     []topic.Partition
	requested bool
}

func (s *sharing) Join(ctx context.Context, g topic.Group) (topic.Member, error) {
	m, err := s.Broker.Join(ctx, g)
	return &shared{Member: m, sharing: s, tasks: g.Tasks}, err
}

func (s *shared) Next(ctx context.Context) (topic.Assignment, error) {
	if s.requested {
		s.let <- true
	}
	s.requested = true
	select {
	case tasks := <-s.news:
		var a topic.Assignment
		for _, i := range tasks {
			a.Tasks = append(a.Tasks, s.tasks[i])
		}
		return a, nil
	case <-ctx.Done():
		return topic.Assignment{}, ctx.Err()
	}
}

// TestSessionHandsOver: a running job loses tasks and receives them again while rows arrive,
// and no row is lost or processed twice.
func TestSessionHandsOver(t *testing.T) {
	w := newWorld(t, 3)
	s := &sharing{Broker: w.b, news: make(chan []int), let: make(chan bool, 100)}
	w.env.Broker, w.env.Interval = s, time.Hour
	j := w.job(&sums{}, topic.End, false)
	j.Start(ctx)
	want := 0
	for round, tasks := range [][]int{{0, 1}, {1}, {}, {0}, {0, 1}, {1}, {0, 1}, {}} {
		s.news <- tasks
		if <-s.let; len(w.read("out")) > want {
			t.Errorf("round %d: %d rows are committed of %d", round, len(w.read("out")), want)
		}
		w.put(someValues(6)...)
		want += 6
	}
	s.news <- []int{0, 1}
	<-s.let
	for range 1000 {
		if _, counts, _ := j.Status(); counts.Rows == int64(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	j.Stop()
	if s, counts, err := j.Status(); s != Stopped || counts.Rows != int64(want) || err != nil {
		t.Errorf("the job is %s after %d rows of %d: %v", s, counts.Rows, want, err)
	}
	if got := w.read("out"); len(got) != want {
		t.Errorf("%d rows are committed, not %d", len(got), want)
	}
}

// TestBoundedHandsOver: a bounded job that is revoked before its end continues where it is
// assigned again, and ends.
func TestBoundedHandsOver(t *testing.T) {
	w := newWorld(t, 1)
	w.put(someValues(8)...)
	s := &sharing{Broker: w.b, news: make(chan []int), let: make(chan bool, 100)}
	w.env.Broker = s
	read := make(chan int64)
	w.env.Read = func(n int64) { read <- n }
	j := w.job(&sums{}, 4, false)
	j.Start(ctx)
	s.news <- []int{0}
	rows := <-read
	s.news <- nil
	for let := 0; let < 2; { // both assignments are applied
		select {
		case n := <-read:
			rows += n
		case <-s.let:
			let++
		}
	}
	if rows == 8 {
		t.Error("all is read before the job is taken away")
	}
	s.news <- []int{0}
	for rows < 8 {
		rows += <-read
	}
	if err := j.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.read("out"); len(got) != 8 {
		t.Errorf("got %v", got)
	}
}
