package exec

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// A job has one state machine, Worker.step, and it does no waiting. It is handed what has happened, an event, and adds what is to be
// done about it, commands, to Worker.todo. A feeder carries the commands out and brings back what came of them. There are two: session
// has a goroutine for each command that waits (a job that runs), hand carries them out one by one on its caller's goroutine (Drain
// in the order in which they were given, Step in any order that its caller chooses). So whatever the simulation shows of Step is
// true of the code that runs.
//
// What a feeder must keep to:
//   - step is called by one goroutine at a time, and everything that the machine owns is touched by that goroutine only. What a command
//     needs beside it, Worker.carry reads, does not change while the command is being carried out: Worker.member, Worker.env, and of a
//     unit what the plan says of it.
//   - Each command is carried out once and gives one event.
//   - toDrop ends whatever is being done for its unit. gone comes when all of it has ended, and nothing else of the unit after that.
//   - When the feeder stops, all that it has begun has ended before anybody calls begin or Close.

// event is something that has happened: one of the types below.
type event any

type (
	// joined: the worker has its place in the group.
	joined struct {
		member topic.Member
		err    error
	}
	// assignment is what the group says.
	assignment struct {
		topic.Assignment
		err error
	}
	// prepared: a unit's store is as of its last committed transaction. id is that of its changelog topic.
	prepared struct {
		unit  *unit
		store state.Store
		id    string
		jump  map[topic.Partition]topic.Offset // positions that a person has decided on; nil: the state's
		err   error
	}
	// cooled: the copy of a unit's state is kept no longer.
	cooled struct {
		unit *unit
		err  error
	}
	// gone: nothing that was dropped for a unit goes on any more.
	gone struct{ unit *unit }
	// fetched is what a reader brought.
	fetched struct {
		*reading
		fetches []topic.Fetch
		err     error
	}
	// looked: the topics that are read have so many partitions. Those that could not be looked at are left out.
	looked struct{ partitions map[string]int }
	// saved: the snapshots are made, but for these.
	saved struct{ failed map[string]error }
	// trimmed: the exchanges are trimmed, or could not be; then that is due again.
	trimmed struct {
		due map[topic.Partition]topic.Offset
		err error
	}
	// tick: time has passed.
	tick struct{}
)

// command is something that is to be done: one of the types below.
type command any

type (
	toJoin    struct{}           // take a place in the group: joined
	toAsk     struct{}           // wait for what the group says; to ask again says that what was taken away has been let go: assignment
	toRestore struct{ *unit }    // bring its store up to its changelog: prepared
	toWarm    struct{ *unit }    // keep a copy of its state until it is dropped: cooled, with an error
	toDrop    struct{ *unit }    // end whatever is being done for it: gone
	toPoll    struct{ *reading } // bring what comes next of a partition; the first time, open its reader: fetched
	toLook    struct{ topics []string }
	toSave    struct{ tasks []string } // make snapshots
	toTrim    struct {
		due map[topic.Partition]topic.Offset
	} // trim exchanges: trimmed
)

// mode is what a worker does with the tasks it has.
type mode uint8

const (
	idle      mode = iota // nothing: they are only there
	following             // it reads them all as their inputs grow, and commits when that is due
	draining              // it works them off one by one, up to where their inputs end now, and commits after each fetch
)

// begin starts the machine, or goes on in another mode.
func (w *Worker) begin(ctx context.Context, m mode) error {
	w.mode, w.todo, w.alarms, w.seen = m, lasting(w.todo), alarms{sleep: time.Hour}, map[string]int{}
	for _, u := range w.units {
		u.drain, u.reads = pending, nil
	}
	switch {
	case w.env.Transient:
		for _, u := range w.units {
			u.want = owned
			w.reconcile(u)
		}
	case w.member == nil:
		w.order(toJoin{})
	}
	if m == following {
		w.setAlarms()
		for _, u := range w.units {
			if u.phase == running {
				w.read(u)
			}
		}
	}
	return w.step(ctx, tick{})
}

// lasting are the commands that outlive a feeder: what the readers were to do does not.
func lasting(todo []command) []command {
	return slices.DeleteFunc(todo, func(c command) bool {
		switch c.(type) {
		case toPoll, toLook, toSave, toTrim:
			return true
		}
		return false
	})
}

func (w *Worker) order(c command) { w.todo = append(w.todo, c) }

// step takes an event. After an error the worker can only be closed.
func (w *Worker) step(ctx context.Context, e event) error {
	var err error
	switch e := e.(type) {
	case joined:
		if w.member, err = e.member, e.err; err == nil {
			w.order(toAsk{})
		}
	case assignment:
		if err = e.err; err == nil {
			err = w.assign(ctx, e.Assignment)
		}
	case prepared:
		err = w.prepared(e)
	case cooled:
		err = w.cooled(e)
	case gone:
		e.unit.to(absent)
		w.reconcile(e.unit)
	case fetched:
		err = w.fetched(ctx, e)
	case looked:
		err = w.looked(e)
	case saved:
		w.saved(e)
	case trimmed:
		if e.err == nil {
			w.trims.Done(e.due)
		}
	case tick, nil:
	default:
		panic(fmt.Sprintf("exec: %T is no event", e))
	}
	if err == nil && w.mode == draining {
		err = w.turn(ctx)
	}
	if err == nil && w.mode == following {
		err = w.tick(ctx)
	}
	return err
}

// alarms are the moments at which something is due by the clock; zero: never.
type alarms struct {
	look, save time.Time
	sleep      time.Duration // from the last step on, until something is due
}

// topicsEvery is how often a job looks whether its topics still are what they were.
const topicsEvery = 10 * time.Second

func (w *Worker) setAlarms() {
	l, now := w.env.Log, w.env.Now()
	if l == nil || w.env.Transient {
		return
	}
	w.alarms.look = now
	if l.Save != nil && l.SaveEvery > 0 {
		w.alarms.save = now.Add(l.SaveEvery)
	}
}

// tick begins what is due by the clock, and notes for how long nothing is.
func (w *Worker) tick(ctx context.Context) error {
	now, a := w.env.Now(), &w.alarms
	a.sleep = time.Hour
	due := func(at *time.Time) bool {
		if at.IsZero() {
			return false
		}
		left := at.Sub(now)
		if left <= 0 {
			*at = time.Time{} // until what is begun now has ended
			return true
		}
		a.sleep = min(a.sleep, left)
		return false
	}
	if due(&a.look) {
		w.order(toLook{w.topics()})
	}
	if due(&a.save) {
		w.order(toSave{w.running()})
	}
	if w.first.IsZero() {
		return nil
	}
	// What is due and cannot be committed, because rows are held back, waits for the next event and not for the clock.
	if left := w.env.Interval - now.Sub(w.first); left > 0 && w.out.bytes < commitBytes {
		a.sleep = min(a.sleep, left)
		return nil
	}
	return w.commit(ctx)
}

// topics are those whose partitions are watched.
func (w *Worker) topics() []string {
	var out []string
	seen := map[string]bool{}
	for _, u := range w.units {
		for _, name := range u.topics() {
			if !seen[name] && w.env.Log.Kept(name) {
				out = append(out, name)
			}
			seen[name] = true
		}
	}
	return out
}

// looked ends the job when a topic has got more partitions. (That one is gone, its readers notice.)
func (w *Worker) looked(e looked) error {
	w.alarms.look = w.env.Now().Add(topicsEvery)
	for name, n := range e.partitions {
		before, known := w.seen[name]
		if !known {
			w.seen[name] = n
			continue
		}
		if err := samePartitions(name, before, n); err != nil {
			return err
		}
	}
	return nil
}

// saved reports what could not be saved: the job goes on without it.
func (w *Worker) saved(e saved) {
	w.alarms.save = w.env.Now().Add(w.env.Log.SaveEvery)
	for name, err := range e.failed {
		if w.env.Fail != nil {
			w.env.Fail(w.job, Failure{Code: "SQ7401", Err: fmt.Errorf("snapshot of %s: %w", name, err), Source: name, Side: "row"})
		}
	}
}
