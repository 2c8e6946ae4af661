package models

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// Job implements exec.Models for one job. The versions that it publishes become visible with
// the job's commit. The goroutine of the job's worker owns it.
type Job struct {
	r    *Registry
	mine map[string][]published // by model, in order, until the registry has read them
}

// published is a version that the job has written.
type published struct {
	id        string
	bundle    *ml.Bundle
	chunks    int
	committed bool
	dropped   bool // its tombstones are written
}

var _ exec.Models = (*Job)(nil)

// ForJob returns the models as one job uses them.
func (r *Registry) ForJob() *Job { return &Job{r: r, mine: map[string][]published{}} }

// Version implements exec.Models. It never waits: with wait, a model without a version is
// ErrNoVersion. Without wait, it is used by a training that continues from the newest version.
// That version is then the last one that the job itself has published, committed or not, so
// that the result does not depend on when commits happen. Its number is the one that it will
// have if no other process publishes.
func (j *Job) Version(model string, number int, accepts func(any) bool, wait bool) (any, int, error) {
	if number == 0 && !wait {
		known := j.r.Versions(model)
		mine := j.unseen(model, known)
		for i := len(mine) - 1; i >= 0; i-- {
			if accepts == nil || accepts(mine[i].bundle) {
				return mine[i].bundle, len(known) + i + 1, nil
			}
		}
	}
	b, n, err := j.r.get(model, number, accepts)
	switch {
	case err != nil:
		return nil, 0, err
	case b != nil:
		return b, n, nil
	case wait:
		return nil, 0, fmt.Errorf("model %q: %w", model, ErrNoVersion)
	}
	return nil, 0, nil
}

// Swapped implements exec.Models.
func (j *Job) Swapped(job, model string, from, to int, out exec.Output) error {
	ev := exec.TrainingEvent{Model: model, Event: "swap", Metric: "version", Value: float64(to), Job: job,
		Time: j.r.config.Now().UnixMilli(), Detail: fmt.Sprintf("from %d", from)}
	if all := j.r.Versions(model); to > 0 && to <= len(all) {
		ev.ID = all[to-1].ID
	}
	return j.Note(out, ev)
}

// Publish implements exec.Models. The version's number is known when the topic has been read
// back.
func (j *Job) Publish(model string, v any, out exec.Output) (string, error) {
	version := v.(op.Version)
	known := j.r.Versions(model)
	mine := j.unseen(model, known)
	m := version.Manifest
	m.ID, m.ParentID, m.Finished = j.r.config.NewID(), parentID(known, mine), j.r.config.Now().UnixMilli()
	m.Build = map[string]string{
		"go":      runtime.Version(),
		"goos":    runtime.GOOS,
		"goarch":  runtime.GOARCH,
		"version": j.r.config.Version,
	}
	records, m, err := ml.Encode(version.Bundle, m)
	if err != nil {
		return "", err
	}
	mine = append(mine, published{id: m.ID, bundle: version.Bundle, chunks: m.Payload.Chunks})
	j.mine[model] = mine
	if keep, ok := version.Bundle.Spec.Options.Value("keep_versions").(int64); ok {
		records = append(records, surplus(known, mine, int(keep))...)
	}
	for i := range records {
		records[i].Time = m.Finished
	}
	return m.ID, out.Write(topic.Partition{Topic: j.r.config.Topic(model)}, records...)
}

// unseen returns the job's own versions that are not among known: those of this transaction,
// and those committed just now.
func (j *Job) unseen(model string, known []Version) []published {
	var out []published
	for _, p := range j.mine[model] {
		if !slices.ContainsFunc(known, func(v Version) bool { return v.ID == p.id }) {
			out = append(out, p)
		}
	}
	return out
}

// parentID returns the id of the newest valid version.
func parentID(known []Version, mine []published) string {
	if n := len(mine); n > 0 {
		return mine[n-1].id
	}
	for i := len(known) - 1; i >= 0; i-- {
		if known[i].Status == Ready {
			return known[i].ID
		}
	}
	return ""
}

// surplus returns the tombstones of the versions older than the newest keep. Their manifests
// remain.
func surplus(known []Version, mine []published, keep int) []topic.Record {
	var out []topic.Record
	old := len(known) + len(mine) - keep
	for i, v := range known {
		if i < old && v.Status == Ready {
			out = append(out, tombstones(v.ID, v.Manifest.Payload.Chunks)...)
		}
	}
	for i := range mine {
		if p := &mine[i]; len(known)+i < old && !p.dropped {
			p.dropped = true
			out = append(out, tombstones(p.id, p.chunks)...)
		}
	}
	return out
}

// trainingRow is a row of streamql.training. The number is looked up when the row is read, see
// Registry.Function.
type trainingRow struct {
	Model  string  `json:"model"`
	ID     string  `json:"version_id,omitempty"`
	Event  string  `json:"event"`
	Pass   int     `json:"pass"`
	Rows   int64   `json:"rows"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Job    string  `json:"job"`
	Detail string  `json:"detail"`
}

// Note implements exec.Models.
func (j *Job) Note(out exec.Output, ev exec.TrainingEvent) error {
	value, err := json.Marshal(
		trainingRow{ev.Model, ev.ID, ev.Event, ev.Pass, ev.Rows, ev.Metric, ev.Value, ev.Job, ev.Detail},
	)
	if err != nil {
		return err
	}
	return out.Write(topic.Partition{Topic: j.r.config.Training}, topic.Record{Value: value, Time: max(ev.Time, 0)})
}

// Committed records that the published versions are in the topic. The registry reads them from
// there, like all other processes.
func (j *Job) Committed() {
	for model := range j.mine {
		list := j.unseen(model, j.r.Versions(model))
		for i := range list {
			list[i].committed = true
		}
		j.mine[model] = list
	}
}

// Aborted discards versions that were published but not committed.
func (j *Job) Aborted() {
	for model, list := range j.mine {
		var kept []published
		for _, p := range list {
			if p.committed {
				// its tombstones may have been lost with the transaction; writing them twice is
				// harmless
				p.dropped = false
				kept = append(kept, p)
			}
		}
		j.mine[model] = kept
	}
}
