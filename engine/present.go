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

// A pull query reads each task of the job that fills the table where the task runs: here, or at another process, which is asked for the
// rows of exactly those tasks. While tasks move it waits a little.

// moveTime is how long a pull query waits for a task that nobody runs just now.
const moveTime = 15 * time.Second

type tasksKey struct{}

// Local makes queries of a context read the rows of certain tasks in this process only: what another process asks for.
func Local(ctx context.Context, tasks []int32) context.Context {
	return context.WithValue(ctx, tasksKey{}, tasks)
}

// tables opens the present rows of tables as of the last commit of the jobs that fill them.
func (e *Engine) tables(ctx context.Context) exec.Tables {
	only, local := ctx.Value(tasksKey{}).([]int32)
	return func(leaf exec.Node) (here []state.View, elsewhere []arrow.Record, err error) {
		p := leaf.(*op.Present)
		j, ok := e.Catalog().Job(p.Job)
		if !ok {
			return nil, nil, &lang.Error{Code: "SQ3011", Stage: lang.StageRun, Msg: fmt.Sprintf("%q is not materialized: the job that filled it is gone", p.Relation)}
		}
		tasks := slices.Clone(j.Tasks)
		if local {
			tasks = slices.DeleteFunc(tasks, func(p topic.Partition) bool { return !slices.Contains(only, p.ID) })
		}
		patience := moveTime
		if local { // the process that asks looks again where the task is
			patience = time.Second
		}
		for begun := time.Now(); ; {
			here, elsewhere, err = e.present(ctx, j, tasks, local, p)
			var moving *movingError
			if err == nil || !errors.As(err, &moving) {
				return here, elsewhere, err
			}
			if time.Since(begun) > patience {
				return nil, nil, &lang.Error{Code: "SQ7304", Stage: lang.StageRun, Msg: err.Error(),
					Hint: "ask again when SHOW JOBS says RUNNING; a process that runs jobs needs --http to be asked"}
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			case <-e.ctx.Done():
				return nil, nil, e.ctx.Err()
			}
		}
	}
}

// movingError says that a task is at nobody who can be asked.
type movingError struct{ text string }

func (m *movingError) Error() string { return m.text }

// present opens the tasks that run here and asks the owners of the others, if that is allowed.
func (e *Engine) present(ctx context.Context, j *catalog.Job, tasks []topic.Partition, local bool, p *op.Present) (here []state.View, elsewhere []arrow.Record, err error) {
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
	if len(missing) == 0 || !e.shared() { // in one process a task that is not open has nothing yet
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

// notRunning says why the rows of a job of this process cannot be read now.
func (e *Engine) notRunning(j *catalog.Job) error {
	st, _ := e.jobs.Of(j.Name)
	switch {
	case st.Failure != nil && st.State == exec.Failed:
		return &lang.Error{Code: "SQ3011", Stage: lang.StageRun, Msg: fmt.Sprintf("the job %s that keeps the rows has failed: %s", j.Name, st.Failure.Cause), Hint: st.Failure.Cure}
	case st.State == exec.Paused:
		return &lang.Error{Code: "SQ3011", Stage: lang.StageRun, Msg: fmt.Sprintf("the job %s that keeps the rows is paused", j.Name), Hint: "RESUME " + j.Name}
	}
	return &movingError{fmt.Sprintf("job %s is %s", j.Name, st.State)}
}

// whom finds the address of the owner of each task.
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
			return nil, &movingError{fmt.Sprintf("task %d of job %s is run by no process just now", t.ID, j.Name)}
		case address == "":
			return nil, &movingError{fmt.Sprintf("task %d of job %s is run by a process that answers no queries", t.ID, j.Name)}
		case address == e.c.Address:
			return nil, &movingError{fmt.Sprintf("task %d of job %s is still being restored", t.ID, j.Name)}
		}
		out[address] = append(out[address], t.ID)
	}
	return out, nil
}

// ask reads the rows of other processes, from all of them at once. They are held in memory, because only whole answers count: a task that
// moves away meanwhile is asked for again, at its new owner.
func (e *Engine) ask(ctx context.Context, asked map[string][]int32, p *op.Present) ([]arrow.Record, error) {
	text, args := question(p)
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

func (e *Engine) askOne(ctx context.Context, address, text string, tasks []int32, args []any) (rows []arrow.Record, err error) {
	defer func() {
		var refused *lang.Error
		if err != nil && (!errors.As(err, &refused) || refused.Code == "SQ7304") && ctx.Err() == nil { // it is gone, or the task is
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

// question is the query that another process answers with the rows of a table: all of them, or the one of a key.
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
		default: // what JSON does not carry exactly is left to the filter above
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

func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
