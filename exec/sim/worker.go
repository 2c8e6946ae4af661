package sim

import (
	"context"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// worker is a sequence of processes of the job on one disk.
type worker struct {
	w        *world
	instance int
	left     *vfs.MemFS // the disk of the last process; nil: none
	p        *process   // nil: none is running
	job      *exec.Job
}

// step makes some steps of a worker, in a new process if none is running.
func (k *worker) step() {
	if k.p != nil && k.p.busy {
		return
	}
	k.w.steps++
	ended, stop := context.WithCancel(context.Background())
	stop()
	defer func() {
		if v := recover(); v != nil {
			if d, ok := v.(killed); !ok || d.p.instance != k.instance {
				panic(v)
			}
		}
	}()
	if k.p == nil {
		k.start()
	}
	p := k.p
	p.busy = true
	for range 1 + k.w.pick(6) {
		if _, err := k.job.Step(ended, k.w.pick); err != nil {
			k.w.violation("worker %d: %v", k.instance, err)
		}
	}
	p.busy = false
}

func (k *worker) start() {
	if k.left != nil && k.w.one(5) && !k.w.calm {
		k.w.note("worker %d has lost its disk", k.instance)
		k.left = nil
	}
	d, err := openDisk(k.left)
	if err != nil {
		k.w.violation("worker %d: %v", k.instance, err)
	}
	k.p = &process{w: k.w, instance: k.instance, disk: d}
	k.w.note("worker %d starts", k.instance)
	if k.job, err = exec.New(context.Background(), "j", k.w.plan.stages, k.w.around(k.w.env(k.p), k.p)); err != nil {
		k.w.violation("worker %d: %v", k.instance, err)
	}
}

// kill ends a process; its disk remains as the crash leaves it.
func (w *world) kill(p *process, where string) {
	w.note("worker %d is killed in %s", p.instance, where)
	if w.kills > 0 {
		w.kills--
		w.killed++
	}
	w.end(p)
}

func (w *world) end(p *process) {
	k := w.workers[p.instance]
	_, counts, _ := k.job.Status()
	w.recoveries += counts.Resumed
	p.dead = true
	k.left = p.disk.die(w.rng)
	k.p, k.job = nil, nil
}

func (w *world) close() {
	for _, k := range w.workers {
		if k.p != nil {
			k.p.disk.close()
		}
	}
}

// env returns a job's environment in a process.
func (w *world) env(p *process) exec.Env {
	now := func() time.Time { return time.UnixMilli(w.now) }
	return exec.Env{
		Broker: p, Source: func(string) topic.Source { return p }, Errors: "errors", Now: now, Interval: time.Duration(w.conf.interval) * time.Millisecond,
		Store: func(task string) (state.Store, error) {
			s, err := state.Open(p.disk.db.DB, task, state.Unsynced())
			return store{s, p}, err
		},
		Log: &exec.Log{
			Cluster: "c", Now: now, Horizon: time.Duration(w.conf.horizon) * time.Millisecond,
			Kept:     func(name string) bool { return !strings.HasPrefix(name, "file") },
			Replay:   func(task string) (*state.Replay, error) { return state.NewReplay(p.disk.db.DB, task) },
			Restored: func(string, int64) { p.touch("restore") },
		},
	}
}

// store is a task's store in which its process may be killed.
type store struct {
	state.Store
	p *process
}

// CommitLog implements state.Store.
func (s store) CommitLog(at state.Log) error {
	s.p.touch("apply")
	err := s.Store.CommitLog(at)
	s.p.touch("applied")
	return err
}
