package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// A pull query needs the rows of every task of the job that fills the table. It reads the tasks of this process
// directly, and queries the other owners for the rows of their tasks. During a rebalance it retries.

// moveTime is how long a pull query retries while a task has no owner.
const moveTime = 15 * time.Second

// tasksKey is the context key of Local.
type tasksKey struct{}

// Local returns a context in which queries read the rows of certain tasks, by partition number, in this process only.
// Queries of other processes run in such a context.
func Local(ctx context.Context, tasks []int32) context.Context {
	return context.WithValue(ctx, tasksKey{}, tasks)
}

// tables returns the function that opens the present rows of a table, as of the last commits of the job that fills it.
func (e *Engine) tables(ctx context.Context) exec.Tables {
	only, local := ctx.Value(tasksKey{}).([]int32)
	return func(leaf exec.Node) (here []state.View, elsewhere []arrow.Record, err error) {
		p := leaf.(*op.Present)
		j, ok := e.Catalog().Job(p.Job)
		if !ok {
			return nil, nil, &lang.Error{Code: "SQ3011", Stage: lang.StageRun,
				Msg: fmt.Sprintf("%q is not materialized: the job that filled it no longer exists", p.Relation)}
		}
		tasks := slices.Clone(j.Tasks)
		if local {
			tasks = slices.DeleteFunc(tasks, func(p topic.Partition) bool { return !slices.Contains(only, p.ID) })
		}
		patience := moveTime
		if local { // the process that sent the query finds the new owner
			patience = time.Second
		}
		for begun := time.Now(); ; {
			// Each try reads all tasks again. Rows of two tries are never combined, because a task that moved meanwhile
			// would be read twice or not at all.
			here, elsewhere, err = e.present(ctx, j, tasks, local, p)
			var moving *movingError
			if err == nil || !errors.As(err, &moving) {
				return here, elsewhere, err
			}
			if time.Since(begun) > patience {
				return nil, nil, &lang.Error{Code: "SQ7304", Stage: lang.StageRun, Msg: err.Error(),
					Hint: "repeat the query when SHOW JOBS shows RUNNING; each process that runs jobs needs --http to serve its rows"}
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			// The engine is closing: no task will be opened here any more.
			case <-e.ctx.Done():
				return nil, nil, e.ctx.Err()
			}
		}
	}
}

// movingError reports that no process can serve the rows of a task at the moment. The query is retried.
type movingError struct{ text string }

func (m *movingError) Error() string { return m.text }

// present opens the rows of the tasks that run here. Unless local is set, it queries the owners of the others. On an
// error it closes the views.
func (e *Engine) present(ctx context.Context, j *catalog.Job, tasks []topic.Partition, local bool,
	p *op.Present) (here []state.View, elsewhere []arrow.Record, err error) {
	defer func() {
		if err != nil {
			for _, v := range here {
				err = errors.Join(err, v.Close())
			}
			here = nil
		}
	}()
	run := e.jobs.Running(j.Name)
	if run == nil && !e.shared() {
		return nil, nil, e.notRunning(j)
	}
	var missing []topic.Partition
	for _, t := range tasks {
		if run == nil {
			missing = append(missing, t)
			continue
		}
		// From here on the view must be closed: by the deferred function after an error, otherwise by the query that
		// reads it.
		v, err := run.View(t)
		if err != nil {
			return here, nil, err
		}
		if v == nil {
			missing = append(missing, t)
			continue
		}
		here = append(here, v)
	}
	if len(missing) == 0 || !e.shared() { // in a single process, a task that is not open has no rows yet
		return here, nil, nil
	}
	if local {
		return here, nil, &movingError{fmt.Sprintf("task %d of job %s does not run here", missing[0].ID, j.Name)}
	}
	asked, err := e.whom(ctx, j, missing)
	if err != nil {
		return here, nil, err
	}
	rows, err := e.ask(ctx, asked, p)
	return here, rows, err
}

// notRunning returns the error for a job of this process whose rows cannot be read.
func (e *Engine) notRunning(j *catalog.Job) error {
	st, _ := e.jobs.Of(j.Name)
	switch {
	case st.Failure != nil && st.State == exec.Failed:
		return &lang.Error{Code: "SQ3011", Stage: lang.StageRun,
			Msg:  fmt.Sprintf("job %s, which materializes the rows, has failed: %s", j.Name, st.Failure.Cause),
			Hint: st.Failure.Cure}
	case st.State == exec.Paused:
		return &lang.Error{Code: "SQ3011", Stage: lang.StageRun,
			Msg: fmt.Sprintf("job %s, which materializes the rows, is paused", j.Name), Hint: "RESUME " + j.Name}
	}
	return &movingError{fmt.Sprintf("job %s is %s", j.Name, st.State)}
}

// The tasks by the address of their owners. The error is a movingError if a task has no owner that serves queries.
func (e *Engine) whom(ctx context.Context, j *catalog.Job, tasks []topic.Partition) (map[string][]int32, error) {
	a, member := e.owners.of(j.Name)
	if observer, ok := e.broker.(topic.Observer); ok && (!member || e.c.Policy == supervise.Idle) {
		var err error
		if a, err = observer.Owners(ctx, j.Name); err != nil {
			return nil, err
		}
	}
	out := map[string][]int32{}
	for _, t := range tasks {
		address, owned := a.Owners[t]
		switch {
		case !owned:
			return nil, &movingError{fmt.Sprintf("task %d of job %s has no owner at the moment", t.ID, j.Name)}
		case address == "":
			return nil, &movingError{fmt.Sprintf("task %d of job %s runs in a process that serves no queries", t.ID, j.Name)}
		case address == e.c.Address:
			return nil, &movingError{fmt.Sprintf("task %d of job %s is still being restored", t.ID, j.Name)}
		}
		out[address] = append(out[address], t.ID)
	}
	return out, nil
}

// Queries other processes in parallel for the rows of their tasks. The rows are buffered, because only complete
// results count: if a task moves meanwhile, the query is repeated at the new owner.
func (e *Engine) ask(ctx context.Context, asked map[string][]int32, p *op.Present) ([]arrow.Record, error) {
	text, args := question(p)
	// mu guards rows and failed.
	var mu sync.Mutex
	var rows []arrow.Record
	var failed error
	var wg sync.WaitGroup
	for address, tasks := range asked {
		wg.Go(func() {
			got, err := e.askOne(ctx, address, text, tasks, args)
			mu.Lock()
			defer mu.Unlock()
			rows, failed = append(rows, got...), errors.Join(failed, err)
		})
	}
	wg.Wait()
	return rows, failed
}

// askOne queries one process. It returns a movingError if the process does not respond or does not own a task.
func (e *Engine) askOne(ctx context.Context, address, text string, tasks []int32, args []any) (
	rows []arrow.Record, err error) {
	defer func() {
		var refused *lang.Error
		// The process is unreachable, or the task has moved.
		if err != nil && (!errors.As(err, &refused) || refused.Code == "SQ7304") && ctx.Err() == nil {
			err = &movingError{err.Error()}
		}
	}()
	client := e.c.Peers
	if client == nil {
		client = &peer.Client{}
	}
	answer, err := client.Query(ctx, address, text, tasks, args...)
	if err != nil {
		return nil, err
	}
	for record, err := range answer.Batches() {
		if err != nil {
			return nil, err
		}
		rows = append(rows, record)
	}
	return rows, nil
}

// question returns the query that another process executes for a table: for all rows, or for the row of one key.
func question(p *op.Present) (text string, args []any) {
	var names []string
	for _, f := range p.Out.Fields() {
		name := quoteName(f.Name)
		if f.Name == flow.RowTime || f.Name == flow.WindowStart || f.Name == flow.WindowEnd {
			name = f.Name
		}
		names = append(names, name)
	}
	all := "SELECT " + strings.Join(names, ", ") + " FROM " + quoteName(p.Relation)
	text = all
	for i, k := range p.Asked {
		switch k.Value.(type) {
		case string, bool, int32, int64:
		default: // JSON cannot carry the value exactly: the filter of the plan selects the rows
			return all, nil
		}
		word := " AND "
		if i == 0 {
			word = " WHERE "
		}
		args = append(args, k.Value)
		text += word + quoteName(k.Column) + " = $" + strconv.Itoa(i+1)
	}
	return text, args
}

// quoteName returns a name in backquotes.
func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
