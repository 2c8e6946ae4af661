package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// A pull query reads rows that jobs have committed. It waits until the jobs of this process have committed all rows
// that their inputs held at the time of the query, so that an INSERT or a definition before the query is visible in its
// rows. Jobs are awaited in the order in which rows pass through them: the end of a topic is read after the job that
// writes it has caught up.

// waitProperty is the property of SET that bounds the wait.
const waitProperty = "query.wait"

// defaultWait is the bound if the property is not set.
const defaultWait = 5 * time.Second

// wait returns the bound of a session. set has checked the value.
func (s *Session) wait() time.Duration {
	text, set := s.settings.Load().Properties[waitProperty]
	if !set {
		return defaultWait
	}
	d, _ := time.ParseDuration(text)
	return d
}

// isWait reports whether a text is a value of waitProperty.
func isWait(text string) bool {
	d, err := time.ParseDuration(text)
	return err == nil && d >= 0
}

// fresh waits for the jobs that a pull query reads, directly or through others. The warning names the jobs that had
// not caught up at the end of the wait; nil: all have. The error is that of ctx.
func (s *Session) fresh(ctx context.Context, plan *planner.Plan) (*lang.Error, error) {
	e := s.engine
	bound := s.wait()
	if _, local := ctx.Value(tasksKey{}).([]int32); local || e.c.Policy != supervise.Live || bound == 0 {
		return nil, nil
	}
	w := &freshness{e: e, catalog: e.Catalog(), seen: map[string]bool{}}
	limit, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for _, r := range planner.Reads(plan.Stages) {
		w.relation(limit, r)
	}
	if err := ctx.Err(); err != nil || len(w.lags) == 0 {
		return nil, err
	}
	return &lang.Error{Code: "SQ7309", Level: lang.LevelWarning, Stage: lang.StageRun,
		Msg:  "the rows may be incomplete: " + strings.Join(w.lags, "; "),
		Hint: fmt.Sprintf("SHOW JOBS; SET '%s'='30s' waits longer than %v", waitProperty, bound)}, nil
}

// freshness is one wait. The goroutine of the query owns it.
type freshness struct {
	e       *Engine
	catalog *catalog.Catalog
	seen    map[string]bool // jobs
	lags    []string        // descriptions of the jobs that have not caught up
}

// relation awaits the jobs that write a relation.
func (w *freshness) relation(ctx context.Context, name string) {
	r, ok := w.catalog.Relation(name, true)
	if !ok {
		return
	}
	for _, j := range w.catalog.Jobs() {
		into, ok := w.catalog.Relation(j.Fills, true)
		// Several relations may be declared over the topic that a job writes.
		if ok && (into.Name == r.Name || into.AtBroker() && r.AtBroker() && into.Topic == r.Topic) {
			w.job(ctx, j)
		}
	}
}

// job awaits a job, after the jobs that write its inputs.
func (w *freshness) job(ctx context.Context, j *catalog.Job) {
	if w.seen[j.Name] {
		return
	}
	w.seen[j.Name] = true
	for _, r := range j.Reads {
		w.relation(ctx, r)
	}
	if why := w.caughtUp(ctx, j); why != "" {
		w.lags = append(w.lags, why)
	}
}

// caughtUp awaits one job. It returns the reason for which the job lags, or "".
func (w *freshness) caughtUp(ctx context.Context, j *catalog.Job) string {
	run, why := w.running(ctx, j)
	if run == nil {
		return why
	}
	if run.Bounded() { // its last rows are committed at its end
		return w.ended(ctx, j)
	}
	// The tasks of a stage read the output of the stage before. Reports are in the order of the stages.
	var targets []target
	for _, r := range run.Reports() {
		if !r.Open { // another process runs the task
			continue
		}
		for _, in := range r.Inputs {
			targets = append(targets, target{task: r.Name, span: in})
		}
	}
	elsewhere := w.e.source(w.connectors(j))
	for len(targets) > 0 {
		stage := targets[0].stage()
		n := slices.IndexFunc(targets, func(t target) bool { return t.stage() != stage })
		if n < 0 {
			n = len(targets)
		}
		if err := ends(ctx, elsewhere, targets[:n]); err != nil {
			return fmt.Sprintf("the ends of the inputs of job %s cannot be read: %v", j.Name, err)
		}
		if why := w.reached(ctx, j, targets[:n]); why != "" {
			return why
		}
		targets = targets[n:]
	}
	return ""
}

// ended awaits the end of a job whose inputs end.
func (w *freshness) ended(ctx context.Context, j *catalog.Job) string {
	for {
		run, why := w.running(ctx, j)
		if run == nil {
			return why
		}
		if !w.sleep(ctx) {
			return fmt.Sprintf("job %s has not ended", j.Name)
		}
	}
}

// connectors returns the relations that a job reads through a connector, by topic.
func (w *freshness) connectors(j *catalog.Job) map[string]*catalog.Relation {
	out := map[string]*catalog.Relation{}
	for _, r := range j.Reading.Relations {
		if !r.AtBroker() {
			out[r.Topic] = r
		}
	}
	return out
}

// target is an input of a task, and the offset that the task must reach in it: the end of span.
type target struct {
	task string
	span topic.Span
}

// stage returns the part of the task's name before the number of its partition.
func (t target) stage() string { return t.task[:strings.LastIndexByte(t.task, '.')] }

// ends bounds the targets by the present ends of their partitions.
func ends(ctx context.Context, source func(string) topic.Source, targets []target) error {
	known := map[topic.Partition]topic.Offset{}
	for i := range targets {
		p := targets[i].span.Partition
		if _, ok := known[p]; !ok {
			t, err := source(p.Topic).Describe(ctx, p.Topic)
			if err != nil {
				return err
			}
			for _, s := range t.Partitions {
				known[s.Partition] = s.To
			}
		}
		if end, ok := known[p]; ok {
			targets[i].span.To = min(targets[i].span.To, end)
		}
		if targets[i].span.To == topic.End { // an endless generator without a rate has no end to reach
			targets[i].span.To = 0
		}
	}
	return nil
}

// running waits until a job runs. It returns nil if this process need not or cannot wait for it, with the reason if
// rows may be missing.
func (w *freshness) running(ctx context.Context, j *catalog.Job) (*exec.Job, string) {
	for {
		st, ok := w.e.jobs.Of(j.Name)
		switch {
		case !ok || st.State == exec.Done:
			return nil, ""
		case st.Failure != nil && st.State == exec.Failed:
			return nil, fmt.Sprintf("job %s has failed: %s: %s", j.Name, st.Failure.Code, st.Failure.Cause)
		case st.State == exec.Paused:
			return nil, fmt.Sprintf("job %s is paused", j.Name)
		case st.State == exec.Waiting && !slices.ContainsFunc(j.Waits, func(v catalog.Version) bool {
			return w.e.trains(v.Model)
		}):
			return nil, fmt.Sprintf("job %s is waiting: %s", j.Name, st.Waits)
		}
		if run := w.e.jobs.Running(j.Name); run != nil && st.State == exec.Running && w.placed(run) {
			return run, ""
		}
		if !w.sleep(ctx) {
			return nil, fmt.Sprintf("job %s is %s", j.Name, st.State)
		}
	}
}

// placed reports whether the tasks of a job that belong to this process are open.
func (w *freshness) placed(run *exec.Job) bool {
	reports := run.Reports()
	if !w.e.shared() { // this process runs all tasks
		return len(reports) > 0 && !slices.ContainsFunc(reports, func(r exec.TaskReport) bool { return !r.Open })
	}
	a, member := w.e.owners.of(run.Name)
	if !member {
		return false
	}
	open := map[string]bool{}
	for _, r := range reports {
		open[r.Name] = r.Open
	}
	for _, p := range a.Tasks {
		if !open[exec.TaskName(w.e.prefix, run.Name, p.Topic, p.ID)] {
			return false
		}
	}
	return true
}

// reached waits until the tasks of a job have committed up to their targets. It returns the reason if they have not.
func (w *freshness) reached(ctx context.Context, j *catalog.Job, targets []target) string {
	for {
		run, why := w.running(ctx, j)
		if run == nil {
			return why
		}
		at := map[string]map[topic.Partition]topic.Offset{}
		for _, r := range run.Reports() {
			if r.Open {
				at[r.Name] = r.Position
			}
		}
		i := slices.IndexFunc(targets, func(t target) bool {
			position, here := at[t.task]
			return here && position[t.span.Partition] < t.span.To
		})
		if i < 0 {
			return ""
		}
		if !w.sleep(ctx) {
			t := targets[i]
			return fmt.Sprintf("job %s is at offset %d of %s, which ends at %d", j.Name,
				at[t.task][t.span.Partition], t.span.Partition, t.span.To)
		}
	}
}

// freshPause is the time between two looks at the positions of a job.
const freshPause = 2 * time.Millisecond

// sleep waits for the next look. It returns false when the wait has ended.
func (w *freshness) sleep(ctx context.Context) bool {
	select {
	case <-time.After(freshPause):
		return true
	case <-ctx.Done():
	case <-w.e.ctx.Done():
	}
	return false
}
