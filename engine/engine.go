// Package engine implements the service of the API. It decides statements, applies the catalog log, and makes jobs,
// topics and models follow the catalog. ARCHITECTURE.md follows one definition through it.
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

// Engine runs statements over the topics of one broker. It has no lock: each field that changes synchronizes itself or
// names its owner. An Engine may be used by several goroutines.
type Engine struct {
	c Config
	// The fields up to jobs are set by Open, before any other goroutine has the engine, and do not change afterwards.
	broker     brokerage
	states     *states
	prefix     string // of the names of the engine's own topics: the name of the application
	instance   string // identifies this process among those of the application
	cluster    string // the id of the Kafka cluster; empty: the embedded broker
	functions  *udf.Registry
	connectors *connect.Registry
	formats    *format.Registry
	decider    *decide.Decider
	log        *journal.Log
	models     *models.Registry
	sources    *connect.Sources
	jobs       *supervise.Supervisor
	owners     owners
	// A goroutine that has received a number owns its transactional id until it sends the number back.
	inserts chan int     // the free numbers of transactional ids for INSERT VALUES
	queries atomic.Int64 // queries started
	memory  *flow.Pool   // the quota of all queries and jobs
	meter   meter

	applied *catalog.Catalog // the last applied snapshot; owned by the goroutine that calls apply
	chores  chan struct{}    // signals keepHouse that topics may have to be deleted

	ctx        context.Context // canceled by Close
	stop       context.CancelFunc
	background sync.WaitGroup
	closing    sync.Once
	closed     error
}

// Open opens an engine and starts the jobs of its catalog. With a directory or on Kafka, they continue from their last
// commit. The error is a *lang.Error. ctx limits Open only; the engine runs until Close.
func Open(ctx context.Context, c Config) (*Engine, error) {
	e := &Engine{c: c, functions: udf.Builtins(), connectors: connect.Builtins(), formats: format.Builtins(),
		inserts: make(chan int, insertWriters), chores: make(chan struct{}, 1),
		memory: flow.NewPool(c.TotalMemory)}
	if _, ok := dialect.Named(c.Dialect); !ok {
		return nil, Wrap(fmt.Errorf("the dialect must be %s, not %q", strings.Join(dialect.Names(), " or "),
			c.Dialect), nil)
	}
	for i := range insertWriters {
		e.inserts <- i
	}
	// The values of ctx remain, but its end does not stop the engine.
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

// register adds the functions, connectors and formats of the configuration to the built-in ones.
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

// start creates the engine's own topics, reads the catalog and starts to follow it.
func (e *Engine) start(ctx context.Context) error {
	e.functions.SetClock(func() int64 { return e.c.Now().UnixMilli() })
	e.functions.SetRandom(rand.Uint64)
	sees := connect.World{Broker: e.broker, Formats: e.formats, Now: e.c.Now}
	var limits connect.Limits
	if !e.shared() {
		limits.Copies = 1
	}
	e.sources = &connect.Sources{Connectors: e.connectors, World: sees}
	e.models = e.registry()
	if err := e.functions.Add(e.models.Function()); err != nil {
		return err
	}
	own := catalog.Own(e.own(errorsTopic), e.own(trainingTopic))
	e.decider = &decide.Decider{Functions: e.functions, Prefix: e.prefix, Own: own, Late: e.c.Policy == supervise.Hand,
		Connectors: e.connectors, Formats: e.formats, Limits: limits}
	e.jobs = supervise.New(e.ctx, (*world)(e), e.c.Policy, supervise.DefaultPace, rand.Uint64)
	if err := e.retry(ctx, "create the engine's topics", func() error { return e.ownTopics(ctx) }); err != nil {
		return err
	}
	base := catalog.New(own...)
	e.applied = base
	e.log = journal.New(journal.Config{Broker: e.broker, Topic: e.own(catalogTopic), By: e.instance, Now: e.c.Now,
		Random: rand.Uint64,
		Apply:  e.apply, Warn: e.warn, Passing: supervise.Passing, Patience: e.c.Patience, Pause: time.Second,
		Every: sayEvery}, base)
	// Load calls apply on this goroutine. Follow starts after it, so that apply has one caller at a time.
	if err := e.retry(ctx, "read the catalog", func() error { return e.log.Load(ctx) }); err != nil {
		return err
	}
	// Only Open adds to background, so that Close can wait for it.
	e.background.Go(func() { e.log.Follow(e.ctx) })
	e.background.Go(e.keepHouse)
	if p, ok := e.broker.(topic.Patient); ok && e.c.Log.Enabled(ctx, slog.LevelWarn) {
		e.background.Go(func() { e.watchBroker(p) })
	}
	return nil
}

// own returns the name of one of the engine's own topics.
func (e *Engine) own(what string) string { return e.prefix + "." + what }

// apply makes models, sources and jobs follow the catalog. The goroutine that reads the catalog log calls it, so it
// must not block.
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
	// After the models and sources, so that a job that starts now does not use those of an earlier snapshot.
	e.jobs.Set(next)
	select {
	case e.chores <- struct{}{}:
	default: // a signal is pending
	}
	e.reportEntries(before, next, entries)
}

// Close stops all jobs, each after a last commit, and releases the directory. A second call waits for the first and
// returns its error.
func (e *Engine) Close() error {
	e.closing.Do(func() { e.closed = e.close() })
	return e.closed
}

// Open calls it after an error, too, when some parts do not exist yet. The broker and the states always exist.
func (e *Engine) close() error {
	// The jobs end first, while the catalog is still followed and the broker, the models and the states are open: each
	// makes a last commit. The parts that they use are closed after them.
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
	e.meter.disks.Lock() // waits for readers of sizes; none starts after stop
	defer e.meter.disks.Unlock()
	return errors.Join(append(errs, e.states.close(), e.broker.Close())...)
}

// Catalog returns the latest snapshot of the catalog that this process has applied.
func (e *Engine) Catalog() *catalog.Catalog { return e.log.Snapshot() }

// Broker returns the engine's broker.
func (e *Engine) Broker() topic.Broker { return e.broker }

// Functions returns the registry of functions.
func (e *Engine) Functions() *udf.Registry { return e.functions }

// Connectors returns the registry of connectors.
func (e *Engine) Connectors() *connect.Registry { return e.connectors }

// Formats returns the registry of formats.
func (e *Engine) Formats() *format.Registry { return e.formats }

// Prefix returns the first part of the names of the engine's own topics.
func (e *Engine) Prefix() string { return e.prefix }

// Drain processes the present inputs of all jobs to their ends, one job at a time, and calls after, if it is not nil,
// after each. It is for engines with the policy supervise.Hand, which run no job themselves.
func (e *Engine) Drain(ctx context.Context, after func(job string) error) error {
	return Wrap(e.jobs.Drain(ctx, after), nil)
}

// warn passes an error that ends no call to Config.Warn, with level WARNING unless it has another.
func (e *Engine) warn(err error) {
	if wrapped := lang.AsErrors(Wrap(err, nil)); len(wrapped) > 0 {
		w := *wrapped[0]
		if w.Level == "" {
			w.Level = lang.LevelWarning
		}
		e.c.Warn(&w)
	}
}

// lookTime is how long a statement waits for the newest catalog. It is short, because SHOW JOBS must work while the
// brokers are unreachable.
const lookTime = 2 * time.Second

// shared reports whether other processes may share the catalog and the jobs.
func (e *Engine) shared() bool { return e.c.Kafka != nil }

// look applies the entries that other processes have appended. While the brokers are unreachable, it returns nil after
// lookTime, and the statement uses the snapshot of this process.
func (e *Engine) look(ctx context.Context) error {
	if !e.shared() {
		return nil // only this process appends entries
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
