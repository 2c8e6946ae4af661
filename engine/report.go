package engine

import (
	"context"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
)

// The process log has one line for each change of status of a job, a broker, a model or the catalog, and for each
// replay and assignment. Attributes have the same names everywhere: job, state, code, cause, attempt, task, model,
// version, topic, records. Statements, rows and configuration are never attributes, because they may contain secrets.

// reportJob reports that a job recovers because of cause, or, if cause is nil, that it has recovered.
func (e *Engine) reportJob(job string, s exec.State, cause error) {
	if cause == nil {
		e.c.Log.Info("job has recovered", "job", job, "state", string(s))
		return
	}
	e.c.Log.Warn("job continues from its last commit", "job", job, "state", string(s), "cause", cause)
}

// reportEntries reports the applied entries, and those that this version cannot read.
func (e *Engine) reportEntries(before, next *catalog.Catalog, entries []*catalog.Entry) {
	e.meter.entries.Add(int64(len(entries)))
	for _, entry := range entries {
		e.c.Log.Debug("catalog entry applied", "kind", entry.Kind, "name", entry.Name, "by", entry.By)
	}
	known := map[int64]bool{}
	for _, b := range before.Broken() {
		known[b.Offset] = true
	}
	for _, b := range next.Broken() {
		if !known[b.Offset] {
			e.c.Log.Error("catalog entry cannot be read", "kind", b.Kind, "name", b.Name, "offset", b.Offset,
				"code", "SQ7306", "cause", b.Reason)
		}
	}
}

// reportVersion reports a version of a model. An old version, which existed when this process began to follow the
// model, is reported at level debug.
func (e *Engine) reportVersion(model string, v models.Version, old bool) {
	log := e.c.Log.With("model", model, "version", v.Number, "state", string(v.Status))
	switch {
	case v.Status == models.Corrupt:
		log.Error("version of a model cannot be read", "cause", v.Err)
	case old:
		log.Debug("version of a model")
	case v.Status == models.Dropped:
		log.Info("version of a model was dropped")
	default:
		log.Info("version of a model is there")
	}
}

// reportReplay reports the replay of a changelog. A replay without records and that of a standby are reported at level
// debug.
func (e *Engine) reportReplay(r exec.Replay) {
	log := e.c.Log.With("job", r.Job, "task", r.Task, "records", r.Records)
	say := log.Info
	switch {
	case r.Ended && r.Err != nil && e.ctx.Err() == nil && !r.Standby:
		log.Warn("restore of state has ended early", "took", r.Took, "cause", r.Err)
		return
	case r.Standby || r.Records == 0:
		say = log.Debug
	}
	what := "restore of state"
	if r.Standby {
		what = "copy of state"
	}
	if r.Ended {
		say(what+" has ended", "took", r.Took)
		return
	}
	say(what + " begins")
}

// reportAssignment reports the tasks of a job that this process owns.
func (e *Engine) reportAssignment(job string, a topic.Assignment) {
	ids := func(list []topic.Partition) []int32 {
		out := make([]int32, len(list))
		for i, p := range list {
			out[i] = p.ID
		}
		return out
	}
	e.c.Log.Info("tasks are assigned", "job", job, "epoch", a.Epoch, "tasks", ids(a.Tasks), "standbys", ids(a.Standbys))
}

// reportSnapshot reports that a snapshot of a task's state was saved or has failed.
func (e *Engine) reportSnapshot(ctx context.Context, task string, err error) {
	switch {
	case err == nil:
		e.c.Log.Debug("snapshot saved", "task", task)
	case ctx.Err() == nil:
		e.c.Log.Warn("snapshot cannot be saved", "task", task, "code", "SQ7401", "cause", err)
	}
}

// watchEvery is the time between two checks of the broker's trouble.
const watchEvery = time.Second

// watchBroker reports when a broker becomes unreachable and when all are reachable again. It runs until the engine
// closes.
func (e *Engine) watchBroker(p topic.Patient) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for away := false; ; {
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return
		}
		away = e.reportBroker(away, p.Trouble())
	}
}

// reportBroker reports a change of the broker's trouble, and returns whether there is any. away is the last return
// value.
func (e *Engine) reportBroker(away bool, trouble error) bool {
	switch {
	case trouble != nil && !away:
		e.c.Log.Warn("broker is away", "state", "AWAY", "cause", trouble)
	case trouble == nil && away:
		e.c.Log.Info("all brokers are back", "state", "BACK")
	}
	return trouble != nil
}
