package exec

import (
	"context"

	"github.com/streamql/streamql/topic"
)

// output is the worker's Output. It begins a transaction at the first write, so that a
// transaction is open no longer than necessary.
type output struct {
	w       *Worker
	txn     topic.Txn
	bytes   int // written in the transaction, without state changes
	records int
}

// begin returns the open transaction, or begins one.
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

// Write appends records to a partition within the transaction; a transient query's are
// discarded.
func (o *output) Write(p topic.Partition, records ...topic.Record) error {
	if o.w.env.Transient { // events of a transient query are not logged
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

// done forgets the transaction, which was committed or aborted.
func (o *output) done() { o.txn, o.bytes, o.records = nil, 0, 0 }

// abort aborts the transaction, if there is one.
func (o *output) abort(ctx context.Context) {
	if o.txn != nil {
		_ = o.txn.Abort(ctx) // a transaction that was not committed stays invisible even if Abort fails
		o.done()
	}
}
