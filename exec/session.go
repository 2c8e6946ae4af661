package exec

import (
	"context"
	"slices"
	"sync"
	"time"
)

// session is the feeder of a running job, from one recovery to the next. Each blocking command
// has a goroutine of its own; the worker's goroutine only calls step. That goroutine owns all
// fields except in and running, which the others send to and wait on.
type session struct {
	w       *Worker
	ctx     context.Context
	in      chan event
	running sync.WaitGroup
	scopes  map[*slot]*scope
	ready   []fetched // fetches that arrived before the worker requested them, and that it has requested now
}

// pump is the session's part of a reading. While the worker processes a fetch, the next one is
// already waiting at the channel. The worker's goroutine owns requested and early.
type pump struct {
	credit    chan struct{} // a token allows one more fetch; nil: the reader is not started
	requested bool          // the worker has requested a fetch that was not delivered yet
	early     *fetched      // a fetch that arrived before it was requested
}

// scope is the set of goroutines that work for one slot. Cancelling it ends them; toDrop
// cancels it and waits.
type scope struct {
	sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

// serve runs the state machine until an error ends the session or all tasks are drained.
// stepped is called after each step. When serve returns, all goroutines of the session have
// ended.
func (w *Worker) serve(ctx context.Context, m mode, stepped func()) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{w: w, ctx: ctx, in: make(chan event), scopes: map[*slot]*scope{}}
	defer s.running.Wait()
	defer cancel()
	if err := w.begin(ctx, m); err != nil {
		return err
	}
	return s.loop(stepped)
}

// loop starts the pending commands, waits for an event and passes it to step.
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

// always is a closed channel: a receive never blocks.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// next waits for an event. It returns nil for a fetch that the worker has not requested yet.
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

// fetched delivers a fetch if the worker has requested it, and then allows the pump one more.
func (s *session) fetched(f fetched) event {
	if !f.pump.requested {
		f.pump.early = &f
		return nil
	}
	f.pump.requested = false
	f.pump.credit <- struct{}{} // never blocks: the pump has consumed the previous token
	return f
}

// begin starts the execution of a command.
func (s *session) begin(c command) {
	switch c := c.(type) {
	case toPoll:
		s.poll(c.reading)
	case toDrop:
		u := s.scope(c.slot)
		delete(s.scopes, c.slot)
		u.cancel()
		s.running.Go(func() { u.Wait(); s.send(s.ctx, dropped{c.slot}) })
	case toRestore:
		s.execute(c.slot, c)
	case toWarm:
		s.execute(c.slot, c)
	default:
		s.running.Go(func() { s.carry(s.ctx, c) })
	}
}

// poll records that the worker has requested a fetch. The first request starts the pump.
func (s *session) poll(r *reading) {
	p := &r.pump
	if p.credit == nil {
		p.credit = make(chan struct{}, 1)
		p.credit <- struct{}{}
		u := s.scope(r.slot)
		s.spawn(u, func() { s.pump(u.ctx, r) })
	}
	if p.requested = true; p.early != nil {
		s.ready = append(s.ready, *p.early)
		p.early = nil
	}
}

// scope returns the scope of a slot, a new one if nothing is being done for the slot.
func (s *session) scope(u *slot) *scope {
	if s.scopes[u] == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		s.scopes[u] = &scope{ctx: ctx, cancel: cancel}
	}
	return s.scopes[u]
}

// execute runs a blocking command on a goroutine in the slot's scope.
func (s *session) execute(u *slot, c command) {
	in := s.scope(u)
	s.spawn(in, func() { s.carry(in.ctx, c) })
}

// spawn runs f on a goroutine within a scope.
func (s *session) spawn(in *scope, f func()) {
	in.Add(1)
	s.running.Go(func() { defer in.Done(); f() })
}

// carry executes a command and sends the resulting event.
func (s *session) carry(ctx context.Context, c command) {
	e, _ := s.w.carry(ctx, c)
	s.send(ctx, e)
}

// send passes an event to the worker. It returns false, and discards the event, if ctx has
// ended.
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

// pump reads a partition ahead of the worker: at most one fetch that is ready, and one that is
// being delivered.
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
