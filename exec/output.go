package exec

import (
	"context"

	"github.com/streamql/streamql/topic"
)

// output begins a transaction at the first write: it is open no longer than it must.
type output struct {
	w       *Worker
	txn     topic.Txn
	bytes   int // written in it, without the changes of state
	records int
}

func (o *output) begin(ctx context.Context) (topic.Txn, error) {
	if o.txn == nil {
		txn, err := o.w.member.Begin(ctx)
		if err != nil {
			return nil, err
		}
		o.txn, o.bytes, o.records = txn, 0, 0
	}
	return o.txn, nil
}

// Write implements Output.
func (o *output) Write(p topic.Partition, records ...topic.Record) error {
	if o.w.env.Transient { // a query's log lines go nowhere
		return nil
	}
	txn, err := o.begin(context.Background())
	if err != nil {
		return err
	}
	o.records += len(records)
	for i := range records {
		o.bytes += len(records[i].Key) + len(records[i].Value)
	}
	return txn.Write(p, records...)
}

// done forgets a transaction that was committed.
func (o *output) done() { o.txn, o.bytes, o.records = nil, 0, 0 }

func (o *output) abort(ctx context.Context) {
	if o.txn != nil {
		_ = o.txn.Abort(ctx) // nothing of it is visible, whatever the answer
		o.done()
	}
}
