package exec

import (
	"context"

	"github.com/streamql/streamql/topic"
)

// What follows is wrong on purpose: bugs of internal/mutant that need more than a line. Nothing of it runs in a normal build.

// outside writes dead letters in a transaction of their own.
func (l *letters) outside() error {
	txn, err := l.w.env.Broker.Begin(context.Background(), "letters")
	for _, c := range l.pending {
		if err == nil {
			err = txn.Write(topic.Partition{Topic: l.w.env.Errors}, c.letter(l.w.job))
		}
	}
	l.pending = l.pending[:0]
	if err != nil {
		return err
	}
	return txn.Commit(context.Background(), nil)
}

// applyEarly moves the stores before the outcome is known.
func (w *Worker) applyEarly(units []*unit, txn topic.Txn, now int64) {
	for _, u := range units {
		_ = w.applied(u, txn, now)
	}
}
