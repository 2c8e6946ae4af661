package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// The processes that own the tasks of a job have its counts. SHOW JOBS queries all these processes in parallel, each
// once for all jobs, and adds up their counts. If one owner does not respond, the counts of its jobs are unknown: a
// partial sum is never shown.

const (
	// askTime is the time limit for brokers and other processes together.
	askTime = time.Second
	// askedAtOnce is the maximum number of concurrent requests to brokers and processes.
	askedAtOnce = 64
)

// elsewhere replaces the counts of this process by those of all owners. For a process that runs no jobs it replaces
// the status, too. out and list have one element per job.
func (e *Engine) elsewhere(ctx context.Context, out []inspect.Job, list []supervise.Status) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	// The slices need no lock: each goroutine writes an element of its own, and they are read after all goroutines have
	// ended.
	owners := make([]ownership, len(list))
	each(len(list), func(i int) { owners[i] = e.ownersOf(ctx, list[i].Job.Name) })
	addresses := e.addresses(owners, list)
	// askTime limits both steps together.
	answers := make([]map[string]inspect.Job, len(addresses)) // nil: no response
	each(len(addresses), func(i int) { answers[i] = e.askJobs(ctx, addresses[i]) })
	for i := range out {
		var reports []inspect.Job
		complete := owners[i].known
		for _, a := range owners[i].others {
			r, ok := inspect.Job{}, false
			if k := slices.Index(addresses, a); k >= 0 {
				r, ok = answers[k][out[i].Name]
			}
			if complete = complete && ok && r.Counted; ok {
				reports = append(reports, r)
			}
		}
		// A partial sum would decrease when an owner stops responding, and a counter must not decrease.
		own := out[i].Counts
		out[i].Counts, out[i].Counted = exec.Counts{}, complete
		if complete {
			out[i].Counts = total(owners[i].here, own, reports)
		}
		if e.c.Policy == supervise.Idle && out[i].State == exec.Starting {
			if len(owners[i].others) == 0 { // it waits or is restarted: any process that runs jobs may report that
				reports = reportsOf(answers, out[i].Name)
			}
			adopt(&out[i], reports)
		}
	}
}

// each calls f for 0 to n-1, up to askedAtOnce of them concurrently, and returns after all have returned.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, askedAtOnce)
	for i := range n {
		// Acquired here and not in the goroutine, so that no more than askedAtOnce goroutines exist.
		slots <- struct{}{}
		wg.Go(func() { defer func() { <-slots }(); f(i) })
	}
	wg.Wait()
}

// total adds up the counts of the owners. own counts only if this process is one of them.
func total(here bool, own exec.Counts, reports []inspect.Job) (sum exec.Counts) {
	if here {
		sum = own
	}
	for _, r := range reports {
		sum = sum.Add(r.Counts)
	}
	return sum
}

// The states that an owner may report, the most important one for an operator first. FAILED is not among them: it is
// in the catalog, and an owner that has not read the restart of a job would still report it.
var telling = []exec.State{exec.Restarting, exec.Degraded, exec.Recovering, exec.Waiting,
	exec.Running, exec.Starting}

// adopt sets the status of a job that does not run here to the most important one of the reports.
func adopt(j *inspect.Job, reports []inspect.Job) {
	rank := func(r inspect.Job) int {
		if at := slices.Index(telling, r.State); at >= 0 {
			return at
		}
		return len(telling)
	}
	if len(reports) == 0 {
		return
	}
	r := slices.MinFunc(reports, func(a, b inspect.Job) int { return rank(a) - rank(b) })
	if rank(r) < len(telling) {
		j.State, j.Failure, j.Waits, j.Attempt = r.State, r.Failure, r.Waits, r.Attempt
	}
}

// reportsOf returns the reports about a job that the responses contain.
func reportsOf(answers []map[string]inspect.Job, job string) (out []inspect.Job) {
	for _, a := range answers {
		if r, ok := a[job]; ok {
			out = append(out, r)
		}
	}
	return out
}

// ownership describes the owners of a job's tasks.
type ownership struct {
	here   bool     // this process owns at least one task
	others []string // addresses of the other owners
	known  bool     // others is complete
}

// ownersOf returns the owners of a job. A member of the job's group uses its last assignment; another process requests
// them from the coordinator. The counts of a job without owners are unknown.
func (e *Engine) ownersOf(ctx context.Context, job string) (o ownership) {
	a, member := e.owners.of(job)
	if !member || e.c.Policy == supervise.Idle {
		observer, ok := e.broker.(topic.Observer)
		if !ok {
			return ownership{here: true, known: true}
		}
		var err error
		if a, err = observer.Owners(ctx, job); err != nil {
			return o
		}
	}
	o.known = len(a.Owners) > 0 || len(a.Tasks) > 0
	for p, address := range a.Owners {
		switch {
		case slices.Contains(a.Tasks, p):
			o.here = true
		case address == "" || address == e.c.Address: // an owner that serves no queries, or a task that this process has lost
			o.known = false
		case !slices.Contains(o.others, address):
			o.others = append(o.others, address)
		}
	}
	o.here = o.here || len(a.Tasks) > 0
	return o
}

// addresses returns the addresses of all owners. If a running job has no owners, a process that runs no jobs adds the
// owners that it has seen before.
func (e *Engine) addresses(owners []ownership, list []supervise.Status) []string {
	var out []string
	lost := false
	for i, o := range owners {
		lost = lost || len(o.others) == 0 && list[i].Job.Runs()
		for _, a := range o.others {
			e.owners.met.Store(a, nil)
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	if lost && e.c.Policy == supervise.Idle {
		e.owners.met.Range(func(a, _ any) bool {
			if !slices.Contains(out, a.(string)) {
				out = append(out, a.(string))
			}
			return true
		})
	}
	return out
}

// askJobs queries streamql.jobs of another process. It returns nil if the process does not respond.
// The query runs in a context of Local there, so the process does not query others in turn.
func (e *Engine) askJobs(ctx context.Context, address string) map[string]inspect.Job {
	client := e.c.Peers
	if client == nil {
		client = &peer.Client{}
	}
	answer, err := client.Query(ctx, address, "SELECT * FROM streamql.jobs", []int32{})
	if err != nil {
		return nil
	}
	out := map[string]inspect.Job{}
	for record, err := range answer.Batches() {
		if err != nil {
			return nil
		}
		for row := range int(record.NumRows()) {
			j := readJob(record, row)
			out[j.Name] = j
		}
	}
	return out
}

// readJob reads a row of streamql.jobs.
func readJob(r arrow.Record, row int) inspect.Job {
	cell := func(name string) any {
		if at := r.Schema().FieldIndices(name); len(at) == 1 {
			return flow.Value(r.Column(at[0]), row)
		}
		return nil
	}
	text := func(name string) string { s, _ := cell(name).(string); return s }
	number := func(name string) int64 { n, _ := cell(name).(int64); return n }
	j := inspect.Job{Name: text("job"), State: exec.State(text("status")), Waits: text("waits_for"),
		Counted: cell("rows") != nil}
	j.Counts = exec.Counts{Rows: number("rows"), Late: number("late"), Letters: number("dead_letters"),
		Gaps: number("gaps"), Resumed: number("recoveries")}
	if n, ok := cell("attempts").(int32); ok {
		j.Attempt = int(n)
	}
	if cause := text("error"); cause != "" {
		j.Failure = &catalog.Failure{Code: text("code"), Cause: cause, Cure: text("cure")}
	}
	return j
}
