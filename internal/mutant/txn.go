//go:build mutants

package mutant

import (
	"context"
	"errors"
	"maps"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// txn is a job's transaction.
type txn struct {
	topic.Txn
	m member
}

// Ends implements topic.Placer.
func (t *txn) Ends() map[topic.Partition]topic.Offset { return t.Txn.(topic.Placer).Ends() }

// Write implements topic.Txn.
func (t *txn) Write(to topic.Partition, records ...topic.Record) error {
	p := t.m.p
	if s := p.logging; s != nil {
		s.changelog, p.logging = to, nil
	}
	if p.bug == LetterOutside && to.Topic == p.env.Errors {
		return p.outside(to, records)
	}
	return t.Txn.Write(to, records...)
}

// outside writes in a separate transaction.
func (p *planted) outside(to topic.Partition, records []topic.Record) error {
	ctx := context.Background()
	t, err := p.env.Broker.Begin(ctx, "letters")
	if err != nil {
		return err
	}
	if err := t.Write(to, records...); err != nil {
		return errors.Join(err, t.Abort(ctx))
	}
	return t.Commit(ctx, nil)
}

// Commit implements topic.Txn.
func (t *txn) Commit(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	p := t.m.p
	switch p.bug {
	case ChangelogLeftOut:
		read = maps.Clone(read)
		for _, task := range t.m.g.Tasks {
			delete(read, task)
		}
	case StoreBeforeCommit:
		t.apply(ctx)
	}
	err := t.Txn.Commit(ctx, read)
	if p.bug == ApplyUnknown && errors.Is(err, topic.ErrLost) {
		return nil
	}
	return err
}

// apply updates the stores as if the transaction were committed.
func (t *txn) apply(ctx context.Context) {
	p := t.m.p
	for _, s := range p.stores {
		if !s.sealed {
			continue
		}
		at := state.Log{Cluster: p.env.Log.Cluster, Next: t.Ends()[s.changelog], Wall: p.env.Now().UnixMilli()}
		if d, err := p.env.Broker.Describe(ctx, s.changelog.Topic); err == nil {
			at.Topic = d.ID
		}
		_ = s.CommitLog(at)
	}
}
