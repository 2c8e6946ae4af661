package exec

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// The figures of a job are plain fields of its worker, which the worker's goroutine alone counts in. Other goroutines read copies: of the
// counts after each step, of a task's position and memory after each commit. Nothing is published per row.

// Counts is what a job has read in this process and what became of it, since it was started. Rows that are read again after a recovery count
// again.
type Counts struct {
	Rows    int64 // read
	Late    int64 // came after their window had closed
	Letters int64 // could not be decoded
	Gaps    int64 // offsets that were gone and, as ON GAP SKIP asks, left out
	Resumed int64 // how often the job had to go on from what is durable

	Written    int64 // records that were committed to topics, dead letters included and changes of state not
	Bytes      int64 // of the keys and values of these
	Commits    int64
	CommitTime time.Duration // of all commits, from the sealing of state to its being stored
}

// Add returns the sum of two counts.
func (c Counts) Add(d Counts) Counts {
	return Counts{Rows: c.Rows + d.Rows, Late: c.Late + d.Late, Letters: c.Letters + d.Letters, Gaps: c.Gaps + d.Gaps, Resumed: c.Resumed + d.Resumed,
		Written: c.Written + d.Written, Bytes: c.Bytes + d.Bytes, Commits: c.Commits + d.Commits, CommitTime: c.CommitTime + d.CommitTime}
}

// committed counts a commit and what was written in it.
func (c *Counts) committed(o *output) {
	c.Commits++
	c.Written += int64(o.records)
	c.Bytes += int64(o.bytes)
}

// count publishes the worker's counts. It is called on the worker's goroutine.
func (j *Job) count() {
	w := j.worker
	c := w.counts
	c.Letters = w.letters.total
	memory := w.account.Used()
	j.mu.Lock()
	defer j.mu.Unlock()
	c.Resumed = j.counts.Resumed
	j.counts, j.memory = c, memory
}

// Memory is what the job has taken of its quota as of its last step, in bytes.
func (j *Job) Memory() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memory
}

// TaskReport is what a task of this process has, as of its last commit.
type TaskReport struct {
	Name   string // of the task, and of its store
	Open   bool   // it runs here; else a copy of its state is kept or restored
	Inputs []topic.Span
	// Position is the next offset to be read of each input.
	Position map[topic.Partition]topic.Offset
	// Memory is what the tables of its state hold, in bytes.
	Memory int64
	// Replayed are the records that the last replay of its changelog has brought, Left the offsets that it has not come to yet.
	Replayed, Left int64
	// Restores reports whether its changelog has been replayed in this process.
	Restores bool
}

// Reports has a report of each task that this process runs, restores or keeps a copy of.
func (j *Job) Reports() []TaskReport {
	w := j.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []TaskReport
	for _, u := range w.units {
		r := TaskReport{Name: u.name, Open: u.task != nil, Position: maps.Clone(u.report.position), Memory: u.report.memory,
			Replayed: u.replay.replayed.Load(), Left: u.replay.left.Load(), Restores: u.replay.begun.Load()}
		if !r.Open && !r.Restores {
			continue
		}
		for _, in := range u.inputs {
			r.Inputs = append(r.Inputs, in.Span)
		}
		out = append(out, r)
	}
	return out
}

// report is what a unit shows of its task.
type report struct {
	position map[topic.Partition]topic.Offset
	memory   int64
}

// publish makes what the task has committed visible to other goroutines. Worker.mu is held.
func (u *unit) publish() {
	if u.report.position == nil {
		u.report.position = make(map[topic.Partition]topic.Offset, len(u.task.position))
	}
	maps.Copy(u.report.position, u.task.position)
	if s, ok := u.task.ctx.State.(state.Sized); ok {
		u.report.memory = s.Held()
	}
}

// publish is unit.publish of several.
func (w *Worker) publish(list []*unit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range list {
		u.publish()
	}
}

// restore is how far the replay of a task's changelog is. Any goroutine may read it.
type restore struct {
	begun          atomic.Bool
	replayed, left atomic.Int64
}

// Replay is the begin or the end of a replay of a task's changelog.
type Replay struct {
	Job, Task string
	Standby   bool          // it goes on until the task moves
	Ended     bool          // else it begins
	Records   int64         // that were replayed; of one that begins, the offsets that are to be
	Took      time.Duration // of one that has ended
	Err       error         // of one that has ended
}

// replays reports that a replay begins; what it returns, that it has ended.
func (w *Worker) replays(u *unit, standby bool, span topic.Span) (ended func(error)) {
	began, left := w.env.Now(), int64(0)
	if !standby {
		left = int64(max(span.To-span.From, 0))
	}
	u.replay.replayed.Store(0)
	u.replay.left.Store(left)
	u.replay.begun.Store(true)
	report := w.env.Log.Restores
	if report == nil {
		return func(error) {}
	}
	r := Replay{Job: w.job, Task: u.name, Standby: standby, Records: left}
	report(r)
	return func(err error) {
		r.Ended, r.Err, r.Records, r.Took = true, err, u.replay.replayed.Load(), w.env.Now().Sub(began)
		report(r)
	}
}

// replayed counts a fetch that is in the store.
func (w *Worker) replayed(u *unit, f *topic.Fetch, standby bool) {
	n := int64(f.Rows())
	u.replay.replayed.Add(n)
	if !standby {
		u.replay.left.Store(max(u.replay.left.Load()-int64(f.Next-f.From), 0))
	}
	if l := w.env.Log; l.Restored != nil {
		l.Restored(u.name, n)
	}
}
