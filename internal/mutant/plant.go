//go:build mutants

package mutant

import (
	"context"
	"sync"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// The bugs that Plant supports.
const (
	NoGuard         = "no guard"                // a task accepts every fetch of a reader
	NoGuardInReplay = "no guard in replay"      // a restore accepts every fetch of a reader
	SkipForRecover  = "skip instead of recover" // a task accepts a fetch from a later offset
	// a store's position becomes durable before its data
	PositionApart = "position in a batch of its own"
	// stores are updated before the transaction is committed
	StoreBeforeCommit = "store before commit"
	// stores are updated although the outcome of the commit is unknown
	ApplyUnknown = "apply after unknown outcome"
	MemoryKept   = "memory kept after abort" // uncommitted changes stay in memory
	// the number of the commit is missing in the group's positions
	ChangelogLeftOut = "changelog's position left out"
	PositionNotLast  = "position record not last"            // in a transaction's changelog records
	NullsSkipped     = "null values skipped in replay"       // deletions are not restored
	KeyNotLogged     = "a key not logged"                    // a change is missing in the changelog
	HorizonIgnored   = "tombstone horizon ignored"           // a store is used that may lack deletions
	LetterOutside    = "dead letter outside the transaction" // it remains after the transaction is aborted
)

// All lists the bugs that Plant supports.
var All = []string{
	NoGuard,
	NoGuardInReplay,
	SkipForRecover,
	PositionApart,
	StoreBeforeCommit,
	ApplyUnknown,
	MemoryKept,
	ChangelogLeftOut,
	PositionNotLast,
	NullsSkipped,
	KeyNotLogged,
	HorizonIgnored,
	LetterOutside,
}

// planted is one job's environment with a bug in it.
type planted struct {
	bug   string
	env   exec.Env // without the bug
	pause func()   // called in the middle of the bug, where a test may end the process

	mu       sync.Mutex
	stores   map[string]*store
	aborting bool   // the job is dropping uncommitted work
	logging  *store // the store whose changelog records are written next
}

// Plant inserts a bug between a job and its environment; pause may be nil. The environment must
// have a changelog.
func Plant(bug string, env exec.Env, pause func()) exec.Env {
	if env.Log == nil || env.Transient {
		return env
	}
	if pause == nil {
		pause = func() {}
	}
	p := &planted{bug: bug, env: env, pause: pause, stores: map[string]*store{}}
	env.Broker = broker{env.Broker, p}
	env.Store = p.open
	env.OnAbort = func() {
		if p.aborting = true; p.env.OnAbort != nil {
			p.env.OnAbort()
		}
	}
	switch bug {
	case NoGuard, SkipForRecover:
		env.Source = func(name string) topic.Source { return source{p.env.Source(name), p} }
	case HorizonIgnored:
		log := *env.Log
		log.Horizon = 0
		env.Log = &log
	}
	return env
}

// open is exec.Env.Store.
func (p *planted) open(task string) (state.Store, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.stores[task]; s != nil && s.kept {
		s.kept = false
		return s, nil
	}
	inner, err := p.env.Store(task)
	if err != nil {
		return nil, err
	}
	s := &store{Store: inner, p: p, task: task}
	p.stores[task] = s
	return s, nil
}

// broker is a job's broker. The job reads its changelog through it.
type broker struct {
	topic.Broker
	p *planted
}

// Open implements topic.Source.
func (b broker) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	switch b.p.bug {
	case NoGuardInReplay, NullsSkipped:
		return source{b.Broker, b.p}.Open(ctx, spans)
	}
	return b.Broker.Open(ctx, spans)
}

// DescribeOnly implements topic.Narrow.
func (b broker) DescribeOnly(ctx context.Context, name string, partitions ...int32) (topic.Topic, error) {
	if n, ok := b.Broker.(topic.Narrow); ok {
		return n.DescribeOnly(ctx, name, partitions...)
	}
	return b.Describe(ctx, name)
}

// Join implements topic.Broker.
func (b broker) Join(ctx context.Context, g topic.Group) (topic.Member, error) {
	b.p.aborting = false
	m, err := b.Broker.Join(ctx, g)
	if err != nil {
		return nil, err
	}
	return member{m, b.p, g}, nil
}

type member struct {
	topic.Member
	p *planted
	g topic.Group
}

// Begin implements topic.Member.
func (m member) Begin(ctx context.Context) (topic.Txn, error) {
	inner, err := m.Member.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &txn{inner, m}, nil
}
