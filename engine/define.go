package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// define decides a statement and appends its entry to the catalog log. It returns after the entry is applied here and
// the topics exist, and after a job that it starts runs, waits or has failed.
func (s *Session) define(ctx context.Context, args []any,
	decided func(*decide.Input) (*decide.Decision, error)) (*Result, error) {
	e, settings := s.engine, s.settings.Load()
	var d *decide.Decision
	err := e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		in := &decide.Input{Context: ctx, Catalog: c, Session: settings, Args: args,
			Facts:   &facts{e: s.engine, ctx: ctx, catalog: c, session: s},
			Version: e.version(ctx)}
		var err error
		if d, err = decided(in); err != nil {
			return nil, err
		}
		return d.Entry, e.opens(ctx, d)
	})
	if err != nil {
		return nil, err
	}
	r := &Result{Message: d.Message, Job: d.Job}
	// The definition is in the catalog now and stays there, whatever happens below. The result is therefore returned
	// together with an error.
	if err := e.retry(ctx, "create topics", func() error { return e.ensure(ctx, d.Make...) }); err != nil {
		return r, fmt.Errorf("the definition is in the catalog; its topics will be created when the brokers respond: %w", err)
	}
	if d.Entry != nil && len(d.Entry.Change.Delete) > 0 {
		e.deleted(ctx)
	}
	if d.Job == "" || d.Entry == nil {
		return r, nil
	}
	return r, e.settled(ctx, r, d)
}

// deleted waits up to lookTime for the deletion of the topics that a statement no longer needs. If that is not enough,
// keepHouse deletes them later.
func (e *Engine) deleted(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_ = e.tidy(ctx)
}

// opens checks that the plan of a new job can be opened, before the job is in the catalog.
func (e *Engine) opens(ctx context.Context, d *decide.Decision) error {
	if d.Entry == nil || d.Plan == nil {
		return nil
	}
	j := d.Entry.Change.Job
	spans := j.Spans
	if len(spans) == 0 {
		return nil
	}
	_, err := exec.New(ctx, j.Name, decide.Stages(d.Plan, spans), e.env(ctx, j, d.Plan))
	return err
}

// settled waits until a new job runs, waits or has failed, and completes the message of the result. It returns the
// error of a job that has failed.
func (e *Engine) settled(ctx context.Context, r *Result, d *decide.Decision) error {
	st, err := e.jobs.Settled(ctx, d.Job)
	if err != nil {
		return err
	}
	switch {
	case st.State == exec.Failed && !d.Bounded:
		return fmt.Errorf("%s, and the job has failed: %w", d.Message, jobFailed(st))
	case e.c.Policy == supervise.Idle:
		r.Message += ", which starts in a process that runs jobs"
	case st.State == exec.Waiting:
		r.Message += ", which is waiting: " + st.Waits
	case st.State == exec.Restarting:
		r.Message += ", which could not be started yet: " + st.Failure.Cause
	}
	return nil
}

// insertWriters is the maximum number of concurrent INSERT VALUES in a process.
const insertWriters = 4

// write appends records in one transaction. Each concurrent writer has a transactional id of its own, so that none
// fences another. Only the begin is retried. After a failed write or commit the outcome is unknown, and a retry could
// duplicate the rows.
func (e *Engine) write(ctx context.Context, f func(topic.Txn) error) error {
	var n int
	select {
	case n = <-e.inserts:
		// The channel has room for all numbers, so this does not block.
		defer func() { e.inserts <- n }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var txn topic.Txn
	err := e.retry(ctx, "write", func() (err error) {
		txn, err = e.broker.Begin(ctx, fmt.Sprintf("insert.%s.%d", e.instance, n))
		return err
	})
	if err != nil {
		return err
	}
	if err := f(txn); err != nil {
		return errors.Join(err, txn.Abort(context.WithoutCancel(ctx)))
	}
	return txn.Commit(ctx, nil)
}
