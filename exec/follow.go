package exec

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// session is a live job between two recoveries: a pump per partition waits for data, tasks are restored beside, and the worker's
// goroutine does everything else.
type session struct {
	j       *Job
	w       *Worker
	ctx     context.Context
	in      chan fetched
	news    chan assignment
	ready   chan prepared
	failed  chan error
	running sync.WaitGroup
	ours    map[*unit]scope         // tasks that are ours, open or being restored
	warm    map[*unit]scope         // standbys
	waits   map[*unit]chan struct{} // closed when whoever touches a unit's stored state beside the worker has ended
}

// scope is how long what is done for a unit goes on.
type scope struct {
	context.Context
	cancel context.CancelFunc
}

// enter begins a scope of a unit, in place of the one before.
func (s *session) enter(set map[*unit]scope, u *unit) context.Context {
	s.leave(set, u)
	ctx, cancel := context.WithCancel(s.ctx)
	set[u] = scope{ctx, cancel}
	return ctx
}

func (s *session) leave(set map[*unit]scope, u *unit) {
	if before, ok := set[u]; ok {
		before.cancel()
		delete(set, u)
	}
}

// assignment is what the group says; taken is closed when the worker has let go of what it lost.
type assignment struct {
	topic.Assignment
	err   error
	taken chan struct{}
}

type prepared struct {
	unit  *unit
	store state.Store
	err   error
}

// follow reads live inputs until something ends the session.
func (j *Job) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{j: j, w: j.worker, ctx: ctx, in: make(chan fetched), news: make(chan assignment), ready: make(chan prepared), failed: make(chan error, 1),
		ours: map[*unit]scope{}, warm: map[*unit]scope{}, waits: map[*unit]chan struct{}{}}
	defer s.running.Wait()
	defer cancel()
	if err := s.begin(); err != nil {
		return err
	}
	return s.loop()
}

// begin takes up the tasks that are open already, or else joins the group.
func (s *session) begin() error {
	if s.w.member == nil && !s.w.env.Transient {
		if err := s.w.join(s.ctx); err != nil {
			return err
		}
	}
	for _, u := range s.w.units {
		if u.task == nil {
			continue
		}
		if err := s.pumps(s.enter(s.ours, u), u); err != nil {
			return err
		}
	}
	if s.w.member != nil {
		s.spawn(func() { s.watch(s.w.member) })
	}
	if l := s.w.env.Log; l != nil {
		s.spawn(s.watchTopics)
		if l.Save != nil && l.SaveEvery > 0 {
			s.spawn(s.save)
		}
	}
	return nil
}

func (s *session) spawn(f func()) {
	s.running.Add(1)
	go func() { defer s.running.Done(); f() }()
}

func (s *session) loop() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := s.w.due()
		if due {
			if err := s.w.commit(s.ctx); err != nil {
				return err
			}
			_, wait = s.w.due()
		}
		timer.Reset(max(wait, time.Millisecond))
		var err error
		select {
		case f := <-s.in:
			err = s.handle(f)
		case a := <-s.news:
			err = s.assign(a)
		case p := <-s.ready:
			err = s.install(p)
		case err = <-s.failed:
		case <-timer.C:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// watch hands on what the group says. The next question is the answer to the last one, so it waits for the worker.
func (s *session) watch(m topic.Member) {
	for {
		next, err := m.Next(s.ctx)
		a := assignment{next, err, make(chan struct{})}
		select {
		case s.news <- a:
		case <-s.ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case <-a.taken:
		case <-s.ctx.Done():
			return
		}
	}
}

// assign lets go of what the group has taken away, after a commit, and begins what it has given.
func (s *session) assign(a assignment) error {
	if a.err != nil {
		return a.err
	}
	given := s.w.given(a.Assignment)
	var lost []*unit
	for _, u := range s.w.units {
		if _, ours := s.ours[u]; ours && !slices.Contains(given, u) {
			lost = append(lost, u)
		}
	}
	if err := s.w.letGo(s.ctx, lost); err != nil {
		return err
	}
	for _, u := range lost {
		s.leave(s.ours, u)
	}
	s.standbys(a.Assignment, given)
	for _, u := range given {
		if _, known := s.ours[u]; !known {
			s.leave(s.warm, u)
			s.prepare(u)
		}
	}
	s.w.assigned(a.Assignment)
	close(a.taken)
	return nil
}

// prepare restores a unit beside the worker's loop, when whoever touched its stored state before has ended.
func (s *session) prepare(u *unit) {
	ctx := s.enter(s.ours, u)
	s.beside(u, func() {
		store, err := s.w.prepare(ctx, u)
		if ctx.Err() != nil { // taken away meanwhile
			if store != nil {
				_ = store.Close()
			}
			return
		}
		select {
		case s.ready <- prepared{u, store, err}:
		case <-ctx.Done():
			if store != nil {
				_ = store.Close()
			}
		}
	})
}

// beside runs f when the last one beside the unit has ended.
func (s *session) beside(u *unit, f func()) {
	before, done := s.waits[u], make(chan struct{})
	s.waits[u] = done
	s.spawn(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		f()
	})
}

// install opens a restored task and begins to read for it.
func (s *session) install(p prepared) error {
	if p.err != nil {
		return p.err
	}
	if _, ours := s.ours[p.unit]; !ours || p.unit.task != nil {
		return p.store.Close()
	}
	if err := s.w.install(p.unit, p.store); err != nil {
		return err
	}
	return s.pumps(s.enter(s.ours, p.unit), p.unit)
}

// standbys keeps copies of the state of other members' tasks.
func (s *session) standbys(a topic.Assignment, given []*unit) {
	want := map[*unit]bool{}
	for _, u := range s.w.units {
		want[u] = slices.Contains(a.Standbys, u.changelog) && !slices.Contains(given, u)
		if !want[u] {
			s.leave(s.warm, u)
			continue
		}
		if _, warm := s.warm[u]; warm {
			continue
		}
		ctx := s.enter(s.warm, u)
		s.beside(u, func() {
			if err := s.w.restore(ctx, u, true); err != nil && ctx.Err() == nil {
				s.fail(fmt.Errorf("standby of %s: %w", u.name, err))
			}
		})
	}
}

func (s *session) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first one ends the session
	}
}

// pumps begins to read for a task.
func (s *session) pumps(ctx context.Context, u *unit) error {
	for _, span := range u.task.spans {
		span.From = u.task.position[span.Partition]
		if err := s.pump(ctx, u, span); err != nil {
			return err
		}
	}
	return nil
}

// pump reads a partition one fetch ahead of the worker.
func (s *session) pump(ctx context.Context, u *unit, span topic.Span) error {
	if span.From >= span.To {
		return nil
	}
	r, err := s.w.env.Source(span.Topic).Open(ctx, []topic.Span{span})
	if err != nil {
		return err
	}
	t := u.task
	s.spawn(func() {
		defer r.Close()
		for {
			fetches, err := r.Poll(ctx)
			if ctx.Err() != nil {
				return
			}
			select {
			case s.in <- fetched{u, t, fetches, span.Partition, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return nil
}

func (s *session) handle(f fetched) error {
	if f.unit.task != f.task { // the task moved away while this was on its way
		return nil
	}
	again, err := s.w.arrived(f)
	if err != nil {
		return err
	}
	if again != nil {
		return s.pump(s.ours[f.unit], f.unit, *again)
	}
	s.j.count()
	return nil
}

// topicsEvery is how often a job looks whether its topics still are what they were.
const topicsEvery = 10 * time.Second

// watchTopics ends the session when a topic has got more partitions. (That one is gone, its readers notice.)
func (s *session) watchTopics() {
	before := map[string]int{}
	tick := time.NewTicker(topicsEvery)
	defer tick.Stop()
	for {
		seen := map[string]bool{}
		for _, u := range s.w.units {
			for _, name := range u.topics() {
				if seen[name] || !s.w.env.Log.Kept(name) {
					continue
				}
				seen[name] = true
				d, err := s.w.describe(s.ctx, name)
				if err != nil {
					continue
				}
				if before[name] == 0 {
					before[name] = len(d.Partitions)
				}
				if err := samePartitions(name, before[name], len(d.Partitions)); err != nil {
					s.fail(err)
					return
				}
			}
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
	}
}

// save makes snapshots of the tasks that are ours, one after the other.
func (s *session) save() {
	l := s.w.env.Log
	tick := time.NewTicker(l.SaveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		for _, name := range s.w.owned() {
			if err := l.Save(s.ctx, name); err != nil && s.ctx.Err() == nil && s.w.env.Fail != nil {
				s.w.env.Fail(s.w.job, Failure{Code: "SQ7401", Err: fmt.Errorf("snapshot of %s: %w", name, err), Source: name, Side: "row"})
			}
		}
	}
}

// owned names the tasks that are open.
func (w *Worker) owned() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, u := range w.units {
		if u.task != nil {
			out = append(out, u.name)
		}
	}
	return out
}
