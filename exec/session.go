package exec

import (
	"context"
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
		var e event
		select {
		case e = <-s.in:
		case <-timer.C:
			e = tick{}
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
		if err := s.w.step(s.ctx, e); err != nil {
			return err
		}
		stepped()
	}
}

// begin begins to carry out a command.
func (s *session) begin(c command) {
	switch c := c.(type) {
	case toPoll:
		if c.credit == nil {
			c.credit = make(chan struct{}, 1)
			u := s.scope(c.unit)
			s.spawn(u, func() { s.pump(u.ctx, c.reading) })
		}
		c.credit <- struct{}{} // it has room: the worker asks once for each fetch
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

// pump reads a partition one fetch ahead of the worker.
func (s *session) pump(ctx context.Context, r *reading) {
	reader, err := s.w.open(ctx, r)
	if err != nil {
		s.send(ctx, fetched{reading: r, err: err})
		return
	}
	defer reader.Close()
	for {
		fetches, err := reader.Poll(ctx)
		select {
		case <-r.credit:
		case <-ctx.Done():
			return
		}
		if !s.send(ctx, fetched{r, fetches, err}) || err != nil {
			return
		}
	}
}
