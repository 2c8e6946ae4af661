package exec

import (
	"context"

	"github.com/streamql/streamql/topic"
)

// output begins a transaction at the first write.
type output struct {
	broker topic.Broker
	id     string
	txn    topic.Txn
}

func (o *output) begin(ctx context.Context) (topic.Txn, error) {
	if o.txn == nil {
		txn, err := o.broker.Begin(ctx, o.id)
		if err != nil {
			return nil, err
		}
		o.txn = txn
	}
	return o.txn, nil
}

// Write implements Output.
func (o *output) Write(p topic.Partition, records ...topic.Record) error {
	txn, err := o.begin(context.Background())
	if err != nil {
		return err
	}
	return txn.Write(p, records...)
}

func (o *output) abort(ctx context.Context) {
	if o.txn != nil {
		_ = o.txn.Abort(ctx) // nothing of it is visible, whatever the answer
		o.txn = nil
	}
}
