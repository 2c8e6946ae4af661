package streamql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Engine runs statements over the topics of one broker. It is safe for use by several goroutines.
type Engine struct {
	config
	broker    brokerage
	state     *states // of tasks
	prefix    string  // of the engine's own topics: the name of the application
	instance  string  // tells this process from others of the same application
	catalog   *catalog.Catalog
	functions *udf.Registry
	models    *models.Registry

	mu         lock // statements that define run one at a time
	properties map[string]string
	trainings  map[string]*planner.Training
	connectors sync.Map // of topic to topic.Source, for relations with a connector; jobs read it
	jobs       map[string]*job
	order      []string          // of jobs, by creation
	next       int               // number of the next job
	guarantees map[string]string // processing.guarantee of jobs that have another than the default
	owners     owners
	cluster    string
	replaying  bool // statements come from the catalog topic, which replayed is of
	replayed   record
	ctx        context.Context
	stop       context.CancelFunc
	background sync.WaitGroup
	journal    journal // the catalog topic
}

// lock is a mutex on a channel: whoever holds the engine's may wait for a broker, and in virtual time (testing/synctest) the clock stands
// still while anybody waits for a sync.Mutex.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// The engine's own topics.
const (
	errorsTopic   = "errors"
	trainingTopic = "training"
	catalogTopic  = "catalog"
)

// own is the name of a topic of the engine's own.
func (e *Engine) own(what string) string { return e.prefix + "." + what }

// Open opens an engine. With a directory it goes on where it left off: its jobs run again.
func Open(ctx context.Context, options ...Option) (*Engine, error) {
	e := &Engine{mu: make(lock, 1), config: config{now: time.Now, poll: 4096, memory: 256 << 20, flush: 30 * time.Second}, catalog: catalog.New(), functions: udf.Builtins(), properties: map[string]string{},
		trainings: map[string]*planner.Training{}, jobs: map[string]*job{}, guarantees: map[string]string{}}
	for _, o := range options {
		o(&e.config)
	}
	for _, f := range e.funcs {
		if err := e.functions.Add(f); err != nil {
			return nil, wrap(err, nil)
		}
	}
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.connectBroker(ctx); err != nil {
		e.stop()
		return nil, wrap(err, nil)
	}
	e.functions.SetClock(func() int64 { return e.now().UnixMilli() })
	e.functions.SetRandom(rand.Uint64)
	e.models = e.newRegistry()
	if err := e.functions.Add(e.models.Function()); err != nil {
		return nil, errors.Join(wrap(err, nil), e.Close())
	}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(wrap(err, nil), e.Close())
	}
	return e, nil
}

// start makes the engine's own topics and relations and replays the catalog.
func (e *Engine) start(ctx context.Context) error {
	for _, t := range []string{errorsTopic, trainingTopic, catalogTopic} {
		t = e.own(t)
		err := e.broker.Create(ctx, t, topic.Config{Partitions: 1, RetentionMs: -1})
		if err != nil && !errors.Is(err, topic.ErrTopicExists) {
			return fmt.Errorf("make topic %s: %w", t, err)
		}
	}
	e.ownRelations()
	return e.replay(ctx)
}

// Close stops all jobs, after a last commit of each, and releases the directory.
func (e *Engine) Close() error {
	e.stop()
	if e.models != nil {
		e.models.Close()
	}
	e.background.Wait()
	var errs []error
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range e.order {
		if j := e.jobs[name]; j != nil && j.run != nil {
			errs = append(errs, j.end())
		}
	}
	e.connectors.Range(func(name, _ any) bool {
		errs = append(errs, e.disconnect(name.(string)))
		return true
	})
	return errors.Join(append(errs, e.state.close(), e.broker.Close())...)
}

// Exec runs the statements of a text in order. It returns when each has done what it does: a definition when it is in force, a bounded
// statement when it has ended. Rows of queries are read and dropped.
func (e *Engine) Exec(ctx context.Context, text string, args ...any) error {
	statements, err := e.Parse(text)
	if err != nil {
		return err
	}
	for _, st := range statements {
		r, err := e.Run(ctx, st, args...)
		if err != nil {
			return err
		}
		if r.Rows == nil {
			continue
		}
		for _, err := range r.Rows.Batches() {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Query runs one statement that has rows. They come as they are read; leaving the loop over Rows.Batches or ending ctx stops the query.
func (e *Engine) Query(ctx context.Context, text string, args ...any) (*Rows, error) {
	statements, err := e.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(statements) != 1 {
		return nil, &Error{Code: "SQ1001", Stage: lang.StageParse, Msg: fmt.Sprintf("Query takes one statement, this text has %d", len(statements))}
	}
	if !hasRows(statements[0]) { // nothing is done that the caller would then take for refused
		return nil, &Error{Code: "SQ3015", Stage: lang.StagePlan, Stmt: 1, Pos: statements[0].Position(), Len: 1, Msg: "this statement has no rows: use Exec"}
	}
	r, err := e.Run(ctx, statements[0], args...)
	if err != nil {
		return nil, err
	}
	return r.Rows, nil
}

// hasRows reports whether a statement answers with rows.
func hasRows(st lang.Statement) bool {
	switch st.(type) {
	case *lang.QueryStatement, *lang.Show, *lang.ShowObject, *lang.Describe, *lang.Explain, *lang.PrintTopic:
		return true
	}
	return false
}

// Parse reads a text. The error is an *Error, or lang.Errors with up to 10 of them.
func (e *Engine) Parse(text string) ([]lang.Statement, error) {
	e.mu.Lock()
	variables := map[string]string{}
	for k, v := range e.properties {
		if name, ok := cutVariable(k); ok {
			variables[name] = v
		}
	}
	e.mu.Unlock()
	return lang.Parse(text, lang.Variables(variables))
}

// Result is what a statement has done: Rows for queries and SHOW, else a sentence for the user.
type Result struct {
	Rows    *Rows
	Message string
	Job     string // the job a definition has started

	wait func(context.Context) error // for a bounded job; without the engine's lock
}

// options is what the planner may know.
func (e *Engine) options(args []any) planner.Options {
	return planner.Options{Catalog: e.catalog, Functions: e.functions, Upper: e.ksql || e.properties["sql.identifiers"] == "upper", Strict: e.ksql,
		Properties: e.properties, Params: args, Infer: e.infer, Model: e.training, Views: e.views(context.Background()), Rows: e.rows, Prefix: e.prefix}
}

func (e *Engine) training(name string) (*planner.Training, bool) {
	if t, ok := e.trainings[name]; ok {
		return t, true
	}
	m, ok := e.catalog.Model(name, e.ksql)
	if !ok {
		return nil, false
	}
	t, ok := e.trainings[m.Name]
	return t, ok
}

// failed reports a row that failed.
func (e *Engine) failed(job string, f exec.Failure) {
	if e.warn != nil {
		e.warn(failure(job, f))
	}
}

// Broker is the engine's broker, for programs that write topics themselves.
func (e *Engine) Broker() topic.Broker { return e.broker }

// Catalog is what names mean now.
func (e *Engine) Catalog() *catalog.Catalog { return e.catalog }

// Functions are the functions the engine knows.
func (e *Engine) Functions() *udf.Registry { return e.functions }
