package exec

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// The counters of a job are plain fields that only the worker's goroutine changes. Other
// goroutines read copies, which are made after each step (counts) and after each commit
// (position and memory of a task). Nothing is published per row.

// Counts are the totals of a job since it was started in this process. Rows that are read again
// after a recovery count again.
type Counts struct {
	Rows    int64 // read
	Late    int64 // arrived after their window had closed
	Letters int64 // records that could not be decoded
	Gaps    int64 // missing offsets that were skipped, as ON GAP SKIP requests
	Resumed int64 // recoveries from the last commit

	Written    int64 // records committed to topics, including dead letters and excluding state changes
	Bytes      int64 // of their keys and values
	Commits    int64
	CommitTime time.Duration // total duration of all commits, from sealing the state to storing it
}

// Add returns the sum of c and d.
func (c Counts) Add(d Counts) Counts {
	return Counts{
		Rows:       c.Rows + d.Rows,
		Late:       c.Late + d.Late,
		Letters:    c.Letters + d.Letters,
		Gaps:       c.Gaps + d.Gaps,
		Resumed:    c.Resumed + d.Resumed,
		Written:    c.Written + d.Written,
		Bytes:      c.Bytes + d.Bytes,
		Commits:    c.Commits + d.Commits,
		CommitTime: c.CommitTime + d.CommitTime,
	}
}

// committed adds a commit and its output.
func (c *Counts) committed(o *output) {
	c.Commits++
	c.Written += int64(o.records)
	c.Bytes += int64(o.bytes)
}

// count publishes the worker's counts. The worker's goroutine calls it.
func (j *Job) count() {
	w := j.worker
	c := w.counts
	c.Letters = w.deadLetters.total
	memory := w.account.Used()
	j.mu.Lock()
	defer j.mu.Unlock()
	c.Resumed = j.counts.Resumed
	j.counts, j.memory = c, memory
}

// Memory returns the bytes charged to the job's quota, as of its last step.
func (j *Job) Memory() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memory
}

// TaskReport describes a task in this process as of its last commit.
type TaskReport struct {
	Name   string // of the task and of its store
	Open   bool   // the task runs here; else its state is being restored or is a standby
	Inputs []topic.Span
	// Position is the next offset that the task reads of each partition.
	Position map[topic.Partition]topic.Offset
	// Memory is the size of the state's tables in memory, in bytes.
	Memory int64
	// Replayed is the number of records of the last replay of its changelog, Left the number of
	// offsets that the replay has not reached yet.
	Replayed, Left int64
	// Restores is true once the changelog has been replayed in this process.
	Restores bool
}

// Reports returns a report of each task that this process runs, restores or has as a standby.
func (j *Job) Reports() []TaskReport {
	w := j.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []TaskReport
	for _, u := range w.slots {
		r := TaskReport{
			Name:     u.name,
			Open:     u.task != nil,
			Position: maps.Clone(u.report.position),
			Memory:   u.report.memory,
			Replayed: u.replay.replayed.Load(),
			Left:     u.replay.left.Load(),
			Restores: u.replay.begun.Load(),
		}
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

// report is the published part of a task's progress.
type report struct {
	position map[topic.Partition]topic.Offset
	memory   int64
}

// publish copies the task's committed position and memory for other goroutines. The caller must
// have locked Worker.mu.
func (u *slot) publish() {
	if u.report.position == nil {
		u.report.position = make(map[topic.Partition]topic.Offset, len(u.task.position))
	}
	maps.Copy(u.report.position, u.task.position)
	if s, ok := u.task.ctx.State.(state.Sized); ok {
		u.report.memory = s.Held()
	}
}

// publish publishes several slots under the lock.
func (w *Worker) publish(list []*slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range list {
		u.publish()
	}
}

// restore is the progress of a replay. Its fields are atomic because any goroutine may read
// them.
type restore struct {
	begun          atomic.Bool
	replayed, left atomic.Int64
}

// Replay reports the begin or the end of the replay of a task's changelog.
type Replay struct {
	Job, Task string
	Standby   bool          // a standby's replay, which ends when the task moves
	Ended     bool          // false at the begin
	Records   int64         // replayed records; at the begin, the number of offsets to replay
	Took      time.Duration // at the end
	Err       error         // at the end; nil: complete
}

// replays reports the begin of a replay and returns the function that reports its end.
func (w *Worker) replays(u *slot, standby bool, span topic.Span) (ended func(error)) {
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

// replayed counts a fetch that has been stored.
func (w *Worker) replayed(u *slot, f *topic.Fetch, standby bool) {
	n := int64(f.Rows())
	u.replay.replayed.Add(n)
	if !standby {
		u.replay.left.Store(max(u.replay.left.Load()-int64(f.Next-f.From), 0))
	}
	if l := w.env.Log; l.Restored != nil {
		l.Restored(u.name, n)
	}
}
