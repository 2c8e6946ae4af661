package exec

import (
	"context"
	"slices"
	"sync"
	"time"
)

// session is the feeder of a job that runs, between two recoveries: what waits has a goroutine, and the worker's goroutine does nothing
// but step. Its fields but in and running belong to that goroutine.
type session struct {
	w       *Worker
	ctx     context.Context
	in      chan event
	running sync.WaitGroup
	scopes  map[*unit]*scope
	ready   []fetched // came before the worker asked for it, which it has done now
}

// pump is what a session knows of a reading. While the worker works on a fetch, the next one waits at the channel already.
type pump struct {
	credit chan struct{} // one more fetch may come; nil: nothing has been asked for yet
	asked  bool          // and has not been handed over
	early  *fetched      // came, and was not asked for
}

// scope is what is being done for a unit.
type scope struct {
	sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

// serve runs the machine until something ends the session, or all is worked off.
func (w *Worker) serve(ctx context.Context, m mode, stepped func()) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{w: w, ctx: ctx, in: make(chan event), scopes: map[*unit]*scope{}}
	defer s.running.Wait()
	defer cancel()
	if err := w.begin(ctx, m); err != nil {
		return err
	}
	return s.loop(stepped)
}

func (s *session) loop(stepped func()) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for i, c := range s.w.todo {
			s.begin(c)
			s.w.todo[i] = nil
		}
		s.w.todo = s.w.todo[:0]
		if s.w.mode == draining && s.w.owns() && s.w.over() {
			return nil
		}
		timer.Reset(max(s.w.alarms.sleep, time.Millisecond))
		e, err := s.next(timer)
		if err == nil && e != nil {
			err = s.w.step(s.ctx, e)
		}
		if err != nil {
			return err
		}
		stepped()
	}
}

// always is a channel from which one can always read.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// next waits for an event; nil: it is not for the worker yet.
func (s *session) next(timer *time.Timer) (event, error) {
	var ready chan struct{}
	if len(s.ready) > 0 {
		ready = always
	}
	select {
	case e := <-s.in:
		if f, ok := e.(fetched); ok {
			return s.fetched(f), nil
		}
		return e, nil
	case <-ready:
		f := s.ready[0]
		s.ready = slices.Delete(s.ready, 0, 1)
		return s.fetched(f), nil
	case <-timer.C:
		return tick{}, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// fetched hands over what was asked for, and lets the next fetch come meanwhile.
func (s *session) fetched(f fetched) event {
	if !f.pump.asked {
		f.pump.early = &f
		return nil
	}
	f.pump.asked = false
	f.pump.credit <- struct{}{} // it has room: the pump has taken the one before
	return f
}

// begin begins to carry out a command.
func (s *session) begin(c command) {
	switch c := c.(type) {
	case toPoll:
		s.poll(c.reading)
	case toDrop:
		u := s.scope(c.unit)
		delete(s.scopes, c.unit)
		u.cancel()
		s.running.Go(func() { u.Wait(); s.send(s.ctx, gone{c.unit}) })
	case toRestore:
		s.beside(c.unit, c)
	case toWarm:
		s.beside(c.unit, c)
	default:
		s.running.Go(func() { s.carry(s.ctx, c) })
	}
}

// poll notes that the worker has asked for a fetch.
func (s *session) poll(r *reading) {
	p := &r.pump
	if p.credit == nil {
		p.credit = make(chan struct{}, 1)
		p.credit <- struct{}{}
		u := s.scope(r.unit)
		s.spawn(u, func() { s.pump(u.ctx, r) })
	}
	if p.asked = true; p.early != nil {
		s.ready = append(s.ready, *p.early)
		p.early = nil
	}
}

// scope is the scope of a unit, a new one if nothing is being done for it.
func (s *session) scope(u *unit) *scope {
	if s.scopes[u] == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		s.scopes[u] = &scope{ctx: ctx, cancel: cancel}
	}
	return s.scopes[u]
}

func (s *session) beside(u *unit, c command) {
	in := s.scope(u)
	s.spawn(in, func() { s.carry(in.ctx, c) })
}

// spawn does something for a unit.
func (s *session) spawn(in *scope, f func()) {
	in.Add(1)
	s.running.Go(func() { defer in.Done(); f() })
}

func (s *session) carry(ctx context.Context, c command) {
	e, _ := s.w.carry(ctx, c)
	s.send(ctx, e)
}

// send hands an event to the worker, unless what it is about has been dropped.
func (s *session) send(ctx context.Context, e event) bool {
	if ctx.Err() == nil {
		select {
		case s.in <- e:
			return true
		case <-ctx.Done():
		}
	}
	discard(e)
	return false
}

// pump reads a partition ahead of the worker: one fetch, and one more where the order of rows makes that one wait.
func (s *session) pump(ctx context.Context, r *reading) {
	reader, err := s.w.open(ctx, r)
	if err != nil {
		<-r.pump.credit
		s.send(ctx, fetched{reading: r, err: err})
		return
	}
	defer reader.Close()
	for {
		fetches, err := reader.Poll(ctx)
		select {
		case <-r.pump.credit:
		case <-ctx.Done():
			return
		}
		if !s.send(ctx, fetched{r, fetches, err}) || err != nil {
			return
		}
	}
}
