package exec

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// A job has one state machine, Worker.step, which never blocks. step takes an event and appends
// the commands that follow from it to Worker.todo. A feeder executes the commands and returns
// the resulting events. There are two feeders. session has a goroutine for each blocking
// command and runs production jobs. hand executes one command at a time on its caller's
// goroutine, in order for Drain, or in an order that the caller of Step chooses. The state
// machine that the simulation explores through Step is therefore the one that production runs.
//
// A feeder must guarantee:
//   - One goroutine at a time calls step, and only that goroutine touches the worker's fields.
//     The fields that Worker.carry reads on other goroutines (Worker.member, Worker.env and the
//     plan's part of a slot) do not change during a command.
//   - Each command is executed once and yields one event.
//   - toDrop cancels everything that is in progress for its slot. The event dropped follows
//     when all of it has ended, and no event of the slot comes after it.
//   - When the feeder stops, everything that it has started has ended before begin or Close is
//     called.

// event is one of the types below. It reports the result of a command, or that time has passed.
type event any

// The events.
type (
	// joined: the worker is a member of the group.
	joined struct {
		member topic.Member
		err    error
	}
	// assignment is the group's assignment of tasks to this member.
	assignment struct {
		topic.Assignment
		err error
	}
	// prepared: the store of a slot is as of its last committed transaction. id is the id of
	// its changelog topic.
	prepared struct {
		slot  *slot
		store state.Store
		id    string
		jump  map[topic.Partition]topic.Offset // positions that RESUME has set; nil: the state's
		err   error
	}
	// standbyEnded: the standby copy of a slot is no longer maintained.
	standbyEnded struct {
		slot *slot
		err  error
	}
	// dropped: nothing is in progress for the slot any more.
	dropped struct{ slot *slot }
	// fetched is the result of one poll of a reader.
	fetched struct {
		*reading
		fetches []topic.Fetch
		err     error
	}
	// looked is the number of partitions of the topics that are read, without those that could
	// not be described.
	looked struct{ partitions map[string]int }
	// saved: the snapshots are finished; failed has the errors by task.
	saved struct{ failed map[string]error }
	// trimmed: the exchanges are trimmed up to due, unless err is set; in that case the trim is
	// due again.
	trimmed struct {
		due map[topic.Partition]topic.Offset
		err error
	}
	// tick: an alarm is due.
	tick struct{}
)

// command is one of the types below. The comment of each names the event that it yields.
type command any

// The commands.
type (
	toJoin struct{} // join the group: joined
	// wait for the next assignment, which also releases the revoked tasks to other members:
	// assignment
	toAsk     struct{}
	toRestore struct{ *slot }    // replay the changelog into the store: prepared
	toWarm    struct{ *slot }    // maintain a standby copy until it is dropped: standbyEnded, with an error
	toDrop    struct{ *slot }    // cancel everything in progress for the slot: dropped
	toPoll    struct{ *reading } // poll the partition; the first time, open its reader: fetched
	toLook    struct{ topics []string }
	toSave    struct{ tasks []string } // make snapshots: saved
	toTrim    struct {
		due map[topic.Partition]topic.Offset
	} // trim exchanges: trimmed
)

// mode determines how a worker processes its open tasks.
type mode uint8

// The modes.
const (
	idle      mode = iota // not at all: the tasks are only open
	following             // all inputs are followed as they grow, with a commit per interval
	// tasks are drained one by one up to the present ends of their inputs, with a commit per
	// fetch
	draining
)

// begin starts the state machine, or continues it in another mode. Slots keep their phases;
// readings and alarms start over.
func (w *Worker) begin(ctx context.Context, m mode) error {
	w.mode, w.todo, w.alarms, w.seen = m, lasting(w.todo), alarms{sleep: time.Hour}, map[string]int{}
	for _, u := range w.slots {
		u.drain, u.reads = pending, nil
	}
	switch {
	case w.env.Transient:
		for _, u := range w.slots {
			u.want = owned
			w.reconcile(u)
		}
	case w.member == nil:
		w.order(toJoin{})
	}
	if m == following {
		w.setAlarms()
		for _, u := range w.slots {
			if u.phase == running {
				w.read(u)
			}
		}
	}
	return w.step(ctx, tick{})
}

// lasting returns the commands that survive a change of feeder. Polls, looks, snapshots and
// trims do not.
func lasting(todo []command) []command {
	return slices.DeleteFunc(todo, func(c command) bool {
		switch c.(type) {
		case toPoll, toLook, toSave, toTrim:
			return true
		}
		return false
	})
}

// order appends a command to todo.
func (w *Worker) order(c command) { w.todo = append(w.todo, c) }

// step processes an event and appends the commands that follow. After an error the worker can
// only be closed.
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
	case standbyEnded:
		err = w.standbyEnded(e)
	case dropped:
		e.slot.to(absent)
		w.reconcile(e.slot)
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
		panic(fmt.Sprintf("exec: %T is not an event", e))
	}
	if err == nil && w.mode == draining {
		err = w.drainNext(ctx)
	}
	if err == nil && w.mode == following {
		err = w.tick(ctx)
	}
	return err
}

// alarms are the times at which something is due by the clock; zero: never.
type alarms struct {
	look, save time.Time
	sleep      time.Duration // how long the feeder may wait for an event before it sends a tick
}

// topicsEvery is the interval at which a job checks the partition counts of its topics.
const topicsEvery = 10 * time.Second

// setAlarms schedules the first check of topics and the first snapshots.
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

// tick starts everything that is due by the clock, commits if the interval has passed, and sets
// alarms.sleep to the time until the next alarm.
func (w *Worker) tick(ctx context.Context) error {
	now, a := w.env.Now(), &w.alarms
	a.sleep = time.Hour
	due := func(at *time.Time) bool {
		if at.IsZero() {
			return false
		}
		left := at.Sub(now)
		if left <= 0 {
			*at = time.Time{} // the alarm is set again when the work has ended
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
	// A commit that is due but blocked by held rows is retried at the next event, not by the
	// clock.
	if left := w.env.Interval - now.Sub(w.first); left > 0 && w.out.bytes < commitBytes {
		a.sleep = min(a.sleep, left)
		return nil
	}
	return w.commit(ctx)
}

// topics returns the names of the topics whose partition counts are checked.
func (w *Worker) topics() []string {
	var out []string
	seen := map[string]bool{}
	for _, u := range w.slots {
		for _, name := range u.topics() {
			if !seen[name] && w.env.Log.Kept(name) {
				out = append(out, name)
			}
			seen[name] = true
		}
	}
	return out
}

// looked ends the job if the number of partitions of a topic has changed. The readers detect a
// deleted topic.
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

// saved reports failed snapshots. The job continues without them.
func (w *Worker) saved(e saved) {
	w.alarms.save = w.env.Now().Add(w.env.Log.SaveEvery)
	for name, err := range e.failed {
		if w.env.Fail != nil {
			w.env.Fail(
				w.job,
				Failure{Code: "SQ7401", Err: fmt.Errorf("snapshot of %s: %w", name, err), Source: name, Side: "row"},
			)
		}
	}
}
