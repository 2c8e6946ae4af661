//go:build mutants

package mutant

import (
	"context"
	"sync"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// The bugs that Plant knows.
const (
	NoGuard           = "no guard"                            // a task takes whatever a reader brings
	NoGuardInReplay   = "no guard in replay"                  // and so does a restore
	SkipForRecover    = "skip instead of recover"             // a task takes what a reader brings from further on
	PositionApart     = "position in a batch of its own"      // a store's position becomes durable before what belongs to it
	StoreBeforeCommit = "store before commit"                 // stores move before the transaction is committed
	ApplyUnknown      = "apply after unknown outcome"         // stores move although nobody knows whether it was
	MemoryKept        = "memory kept after abort"             // what was uncommitted stays in memory
	ChangelogLeftOut  = "changelog's position left out"       // the group does not learn the number of the commit
	PositionNotLast   = "position record not last"            // in a transaction's changelog records
	NullsSkipped      = "null values skipped in replay"       // deletions are not restored
	KeyNotLogged      = "a key not logged"                    // a change is missing in the changelog
	HorizonIgnored    = "tombstone horizon ignored"           // a store is used that may lack deletions
	LetterOutside     = "dead letter outside the transaction" // it stays where that is aborted
)

// All are the names of the bugs that Plant knows.
var All = []string{NoGuard, NoGuardInReplay, SkipForRecover, PositionApart, StoreBeforeCommit, ApplyUnknown, MemoryKept, ChangelogLeftOut, PositionNotLast,
	NullsSkipped, KeyNotLogged, HorizonIgnored, LetterOutside}

// planted is one job's world with a bug in it.
type planted struct {
	bug   string
	env   exec.Env // without it
	pause func()   // called in the middle of the bug, where a test may end the process

	mu       sync.Mutex
	stores   map[string]*store
	aborting bool   // the job is dropping what is uncommitted
	logging  *store // has been asked for its changelog records, which are written next
}

// Plant puts a bug between a job and its world; pause may be nil. The world must have a changelog.
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

// broker is a job's broker: what it reads through it is the changelog.
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
