// Package engine is the service behind the API: it decides statements, applies the catalog log, and makes the world follow the catalog.
// ARCHITECTURE.md has the walk of a definition through it.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/journal"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Engine runs statements over the topics of one broker. Its parts have locks of their own; the engine has none.
type Engine struct {
	c          Config
	broker     brokerage
	states     *states
	prefix     string // of the engine's own topics: the name of the application
	instance   string // tells this process from others of the same application
	cluster    string
	functions  *udf.Registry
	connectors *connect.Registry
	formats    *format.Registry
	decider    *decide.Decider
	log        *journal.Log
	models     *models.Registry
	sources    *connect.Sources
	jobs       *supervise.Supervisor
	owners     owners
	inserts    chan int // numbers of transactional ids for INSERT VALUES that are free
	queries    atomic.Int64
	memory     *flow.Pool // of all queries and jobs
	meter      meter

	applied *catalog.Catalog // the last that was applied; the goroutine that applies owns it
	chores  chan struct{}    // there may be topics to make or delete

	ctx        context.Context // ends with Close
	stop       context.CancelFunc
	background sync.WaitGroup
	closing    sync.Once
	closed     error
}

// Open opens an engine. With a directory it goes on where it left off: its jobs run again.
func Open(ctx context.Context, c Config) (*Engine, error) {
	e := &Engine{c: c, functions: udf.Builtins(), connectors: connect.Builtins(), formats: format.Builtins(),
		inserts: make(chan int, insertWriters), chores: make(chan struct{}, 1),
		memory: flow.NewPool(c.TotalMemory)}
	if _, ok := dialect.Named(c.Dialect); !ok {
		return nil, Wrap(fmt.Errorf("the dialect is %s, not %q", strings.Join(dialect.Names(), " or "), c.Dialect), nil)
	}
	for i := range insertWriters {
		e.inserts <- i
	}
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.register(); err != nil {
		return nil, Wrap(err, nil)
	}
	if err := e.connectBroker(ctx); err != nil {
		e.stop()
		return nil, Wrap(err, nil)
	}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(Wrap(err, nil), e.Close())
	}
	return e, nil
}

// register adds what the program brings to the built-in functions, connectors and formats.
func (e *Engine) register() error {
	for _, f := range e.c.Functions {
		if err := e.functions.Add(f); err != nil {
			return err
		}
	}
	for _, c := range e.c.Connectors {
		if err := e.connectors.Add(c); err != nil {
			return err
		}
	}
	for _, f := range e.c.Formats {
		if err := e.formats.Add(f); err != nil {
			return err
		}
	}
	e.formats.SetClient(format.Client{Schemas: e.c.Schemas})
	return nil
}

// start reads the catalog and begins to follow it.
func (e *Engine) start(ctx context.Context) error {
	e.functions.SetClock(func() int64 { return e.c.Now().UnixMilli() })
	e.functions.SetRandom(rand.Uint64)
	sees := connect.World{Broker: e.broker, Formats: e.formats, Now: e.c.Now}
	if !e.shared() {
		sees.Copies = 1
	}
	e.sources = &connect.Sources{Connectors: e.connectors, World: sees}
	e.models = e.registry()
	if err := e.functions.Add(e.models.Function()); err != nil {
		return err
	}
	own := catalog.Own(e.own(errorsTopic), e.own(trainingTopic))
	e.decider = &decide.Decider{Functions: e.functions, Prefix: e.prefix, Own: own, Late: e.c.Policy == supervise.Hand,
		Connectors: e.connectors, Formats: e.formats, World: sees}
	e.jobs = supervise.New(e.ctx, (*world)(e), e.c.Policy, supervise.DefaultPace, rand.Uint64)
	if err := e.retry(ctx, "make the engine's topics", func() error { return e.ownTopics(ctx) }); err != nil {
		return err
	}
	base := catalog.New(own...)
	e.applied = base
	e.log = journal.New(journal.Config{Broker: e.broker, Topic: e.own(catalogTopic), By: e.instance, Now: e.c.Now, Random: rand.Uint64,
		Apply: e.apply, Warn: e.warn, Passing: supervise.Passing, Patience: e.c.Patience, Pause: time.Second, Every: sayEvery}, base)
	if err := e.retry(ctx, "read the catalog", func() error { return e.log.Load(ctx) }); err != nil {
		return err
	}
	e.background.Go(func() { e.log.Follow(e.ctx) })
	e.background.Go(e.keepHouse)
	if p, ok := e.broker.(topic.Patient); ok && e.c.Log.Enabled(ctx, slog.LevelWarn) {
		e.background.Go(func() { e.watchBroker(p) })
	}
	return nil
}

// own is the name of a topic of the engine's own.
func (e *Engine) own(what string) string { return e.prefix + "." + what }

// apply makes the rest of the engine follow the catalog. It runs on the goroutine that reads the log, and waits for nothing.
func (e *Engine) apply(next *catalog.Catalog, entries []*catalog.Entry) {
	before := e.applied
	e.applied = next
	for _, m := range before.Models() {
		if now, ok := next.Model(m.Name, true); !ok || now.Topic != m.Topic {
			e.models.Forget(m.Name)
		}
	}
	for _, m := range next.Models() {
		e.models.Follow(m.Name)
	}
	for _, r := range before.Relations() {
		if now, ok := next.Relation(r.Name, true); !r.AtBroker() && (!ok || now != r) {
			if err := e.sources.Forget(r); err != nil {
				e.warn(err)
			}
		}
	}
	e.jobs.Set(next)
	select {
	case e.chores <- struct{}{}:
	default: // it is to look already
	}
	e.reportEntries(before, next, entries)
}

// Close stops all jobs, after a last commit of each, and releases the directory. A second call waits for the first.
func (e *Engine) Close() error {
	e.closing.Do(func() { e.closed = e.close() })
	return e.closed
}

func (e *Engine) close() error {
	if e.jobs != nil {
		e.jobs.Close()
	}
	e.stop()
	if e.models != nil {
		e.models.Close()
	}
	e.background.Wait()
	var errs []error
	if e.sources != nil {
		errs = append(errs, e.sources.Close())
	}
	e.meter.disks.Lock() // who is asking for sizes has its answer, and nobody asks after stop
	defer e.meter.disks.Unlock()
	return errors.Join(append(errs, e.states.close(), e.broker.Close())...)
}

// Catalog is the catalog as far as it is applied here.
func (e *Engine) Catalog() *catalog.Catalog { return e.log.Snapshot() }

// Broker is the engine's broker.
func (e *Engine) Broker() topic.Broker { return e.broker }

// Functions are the functions the engine knows.
func (e *Engine) Functions() *udf.Registry { return e.functions }

// Connectors are the connectors the engine knows.
func (e *Engine) Connectors() *connect.Registry { return e.connectors }

// Formats are the formats the engine knows.
func (e *Engine) Formats() *format.Registry { return e.formats }

// Prefix begins the names of the engine's own topics.
func (e *Engine) Prefix() string { return e.prefix }

// Drain works off what the inputs of all jobs hold now, job by job; for engines whose jobs are driven by hand.
func (e *Engine) Drain(ctx context.Context, after func(job string) error) error {
	return Wrap(e.jobs.Drain(ctx, after), nil)
}

// warn reports trouble that ends nothing.
func (e *Engine) warn(err error) {
	if wrapped := lang.AsErrors(Wrap(err, nil)); len(wrapped) > 0 {
		w := *wrapped[0]
		if w.Level == "" {
			w.Level = lang.LevelWarning
		}
		e.c.Warn(&w)
	}
}

// lookTime is how long a statement that defines nothing waits for the newest catalog. While brokers are away it must be possible to see
// what the jobs do.
const lookTime = 2 * time.Second

// shared reports whether other processes work on the same catalog and jobs.
func (e *Engine) shared() bool { return e.c.Kafka != nil }

// look brings the catalog up to what others have defined. While brokers are away it stays as it is known here.
func (e *Engine) look(ctx context.Context) error {
	if !e.shared() {
		return nil // whatever was defined was defined here
	}
	short, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := e.log.CatchUp(short)
	if err != nil && ctx.Err() == nil && (short.Err() != nil || supervise.Passing(err)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	return nil
}
