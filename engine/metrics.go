package engine

import (
	"context"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// meter holds the measurements of the engine other than those of jobs. Any goroutine may use its fields.
// It is empty at the start of the process: counters begin at 0, as Prometheus expects of a restarted process.
type meter struct {
	queries sync.Map     // the keys are the *exec.Job of the running queries
	entries atomic.Int64 // entries of the catalog log that were applied
	lookout lookout

	// disks is read-locked while sizes are read from the databases of state. Close locks it before it closes them.
	disks sync.RWMutex
}

// Metrics returns the present metrics of this process. On Kafka the brokers' figures are up to 10 seconds old, and are
// missing while the brokers do not respond.
func (e *Engine) Metrics(ctx context.Context) []inspect.Metric {
	b := &inspect.Board{}
	jobs := e.jobs.Status()
	// The requests to the brokers come first, so that the other figures are of the same moment.
	seen := e.meter.lookout.look(ctx, e, e.wanted(jobs))
	for _, s := range jobs {
		e.measureJob(b, s, seen)
	}
	c := e.Catalog()
	for _, broken := range c.Broken() {
		if broken.Kind == "JOB" && broken.Name != "" {
			measureState(b, broken.Name, exec.Unavailable)
		}
	}
	for _, m := range c.Models() {
		b.Add("streamql_model_versions", float64(len(e.Versions(m.Name))), m.Name)
		b.Add("streamql_model_serving_version", float64(e.Serving(m.Name)), m.Name)
	}
	b.Add("streamql_catalog_entries_total", float64(e.meter.entries.Load()))
	b.Add("streamql_catalog_broken", float64(len(c.Broken())))
	b.Add("streamql_broker_trouble", truth(e.trouble() != nil))
	for name, size := range seen.sizes {
		b.Add("streamql_topic_bytes", float64(size), name)
	}
	e.measureQueries(b)
	measureProcess(b)
	return b.Metrics()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// measureState adds a metric for each state, with value 1 for the present one.
func measureState(b *inspect.Board, job string, now exec.State) {
	for _, s := range exec.AllStates {
		b.Add("streamql_job_state", truth(s == now), job, string(s))
	}
}

func (e *Engine) measureJob(b *inspect.Board, s supervise.Status, seen *sight) {
	name, c := s.Job.Name, s.Counts
	measureState(b, name, shown(s, e.trouble()).State)
	for _, f := range []struct {
		measure string
		value   int64
	}{
		{"streamql_job_rows_total", c.Rows}, {"streamql_job_late_rows_total", c.Late},
		{"streamql_job_dead_letters_total", c.Letters},
		{"streamql_job_gap_offsets_total", c.Gaps}, {"streamql_job_written_records_total", c.Written},
		{"streamql_job_written_bytes_total", c.Bytes},
		{"streamql_job_commits_total", c.Commits}, {"streamql_job_recoveries_total", c.Resumed},
		{"streamql_job_restarts_total", s.Restarts},
	} {
		b.Add(f.measure, float64(f.value), name)
	}
	b.Add("streamql_job_commit_seconds_total", c.CommitTime.Seconds(), name)
	run := e.jobs.Running(name)
	if run == nil {
		b.Add("streamql_job_tasks", 0, name)
		b.Add("streamql_job_memory_bytes", 0, name)
		return
	}
	b.Add("streamql_job_memory_bytes", float64(run.Memory()), name)
	e.measureTasks(b, s.Job, run.Reports(), seen)
}

// measureTasks adds the metrics of the tasks of a job in this process.
func (e *Engine) measureTasks(b *inspect.Board, j *catalog.Job, tasks []exec.TaskReport, seen *sight) {
	// A standby counts with its disk space, but not as a task and not with memory.
	open, memory, disk, lag := 0, int64(0), int64(0), map[topic.Partition]topic.Offset{}
	for _, t := range tasks {
		if t.Open {
			open++
			memory += t.Memory
		}
		disk += e.onDisk(t.Name)
		for _, in := range t.Inputs {
			end, known := seen.ends[in.Partition]
			at, read := t.Position[in.Partition]
			if known && read { // if two tasks read one partition, the larger lag counts
				lag[in.Partition] = max(lag[in.Partition], min(end, in.To)-at, 0)
			}
		}
		if t.Restores {
			b.Add("streamql_job_restore_records", float64(t.Replayed), j.Name, t.Name)
			b.Add("streamql_job_restore_left", float64(t.Left), j.Name, t.Name)
		}
	}
	for p, n := range lag {
		b.Add("streamql_job_lag_records", float64(n), j.Name, p.Topic, strconv.Itoa(int(p.ID)))
	}
	b.Add("streamql_job_tasks", float64(open), j.Name)
	b.Add("streamql_job_state_bytes", float64(memory), j.Name, "memory")
	b.Add("streamql_job_state_bytes", float64(disk), j.Name, "disk")
}

// onDisk returns the size of a task's state on this machine's disk, 0 if the engine has no directory.
// Close cancels e.ctx before it locks disks. A reader therefore either finds the end of ctx, or finishes before the
// database is closed.
func (e *Engine) onDisk(task string) int64 {
	e.meter.disks.RLock()
	defer e.meter.disks.RUnlock()
	if e.c.Dir == "" || e.ctx.Err() != nil {
		return 0
	}
	n, err := e.states.disk(task)
	if err != nil {
		return 0 // the database has failed; its jobs report the error
	}
	return n
}

// measureQueries adds the metrics of transient queries. Jobs are not among them.
func (e *Engine) measureQueries(b *inspect.Board) {
	active, memory := 0, int64(0)
	// A query removes itself at its end, so the figures may include one that ends now.
	e.meter.queries.Range(func(run, _ any) bool {
		active++
		memory += run.(*exec.Job).Memory()
		return true
	})
	b.Add("streamql_query_total", float64(e.queries.Load()))
	b.Add("streamql_query_active", float64(active))
	b.Add("streamql_query_memory_bytes", float64(memory))
}

// heap is the runtime's name for the bytes of objects that are live or not swept yet.
const heap = "/memory/classes/heap/objects:bytes"

// measureProcess adds the metrics of the process, which may contain other programs than the engine.
func measureProcess(b *inspect.Board) {
	sample := []metrics.Sample{{Name: heap}}
	metrics.Read(sample)
	b.Add("streamql_goroutines", float64(runtime.NumGoroutine()))
	if sample[0].Value.Kind() == metrics.KindUint64 {
		b.Add("streamql_heap_bytes", float64(sample[0].Value.Uint64()))
	}
}
