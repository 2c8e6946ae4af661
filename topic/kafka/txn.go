package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// txn is a transaction outside a group. It has its own client, which it closes at its end.
type txn struct {
	writer
	b     *Broker
	id    string
	ended bool
}

var (
	errEnded = errors.New("the transaction has ended")
	errName  = errors.New(
		"kafka: Config.Name is empty; transactions need it so that applications do not fence each other",
	)
)

// Begin implements topic.Sink. The transactional id is <Config.Name>.<id>. An earlier
// transaction of the same id, in this or another process, is aborted at once, and its Commit
// fails with topic.ErrFenced. A transaction must end within Config.TransactionTimeout after its
// first record. Each Begin opens new connections, which takes a few milliseconds; frequent
// committers join a group.
func (b *Broker) Begin(ctx context.Context, id string) (topic.Txn, error) {
	if b.c.Name == "" {
		return nil, errName
	}
	l := &limits{b: b, known: map[string]int{}}
	name := b.c.Name + "." + id
	cl, err := kgo.NewClient(
		l.producing(kgo.TransactionalID(name), kgo.TransactionTimeout(b.c.TransactionTimeout))...)
	if err != nil {
		return nil, fmt.Errorf("kafka: invalid settings: %w", err)
	}
	// The request for the producer id is the fence: the coordinator aborts the open transaction of
	// the id before it responds.
	if _, _, err = cl.ProducerID(ctx); err == nil {
		err = cl.BeginTransaction()
	}
	if err != nil {
		cl.Close()
		return nil, b.explain(err, fmt.Sprintf("begin transaction %q", name))
	}
	return &txn{b: b, id: name, writer: writer{cl: cl, limits: l, base: b.ctx, after: b.c.TransactionTimeout}}, nil
}

// Write implements topic.Txn.
func (t *txn) Write(p topic.Partition, records ...topic.Record) error {
	if t.ended {
		return errEnded
	}
	if err := t.writer.Write(p, records...); err != nil {
		return t.wrap(err)
	}
	return nil
}

// Commit implements topic.Txn. There is no group, so read must be empty. After an error that is
// neither topic.ErrFenced nor topic.ErrLost, nothing was committed. A transaction without
// records commits without a request, so it does not notice a fence.
func (t *txn) Commit(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	if t.ended {
		return errEnded
	}
	defer t.close()
	if len(read) > 0 {
		return errors.Join(
			fmt.Errorf("kafka: transaction %q moves positions, which only a member of a group can do", t.id),
			t.abort(ctx),
		)
	}
	settled, err := t.flush(ctx)
	if err != nil {
		if settled && !fenced(err) {
			_ = t.abort(ctx) // if this fails, the next Begin or the timeout aborts it
		}
		return t.wrap(err)
	}
	if err := endTxn(ctx, t.cl, t.b, kgo.TryCommit); err != nil {
		return t.wrap(err)
	}
	return nil
}

// Abort implements topic.Txn.
func (t *txn) Abort(ctx context.Context) error {
	if t.ended {
		return nil
	}
	defer t.close()
	return t.abort(ctx)
}

// abort ends the transaction and its client.
func (t *txn) abort(ctx context.Context) error {
	if err := abortTxn(ctx, t.cl, t.b); err != nil && !fenced(err) {
		return t.b.explain(err, fmt.Sprintf("abort transaction %q", t.id))
	}
	return nil
}

// close closes the client.
func (t *txn) close() {
	t.ended = true
	t.release()
	t.cl.Close()
}

// wrap adds the transaction's name to an error, and topic.ErrFenced if the error means that.
func (t *txn) wrap(err error) error {
	if fenced(err) {
		return fmt.Errorf("kafka: transaction %q: %w: %w", t.id, topic.ErrFenced, err)
	}
	return fmt.Errorf("kafka: transaction %q: %w", t.id, err)
}

// endTxn ends the client's transaction. topic.ErrLost, wrapped: the outcome is unknown. It
// continues even if ctx ends.
func endTxn(ctx context.Context, cl *kgo.Client, b *Broker, how kgo.TransactionEndTry) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), b.c.TransactionTimeout)
	defer stop()
	err := cl.EndTransaction(ctx, how)
	switch {
	case err == nil || fenced(err):
		return err
	case errors.Is(err, kerr.OperationNotAttempted), errors.Is(err, kerr.TransactionAbortable):
		// First case: kgo sent no request, because the producer has failed. Second case: the
		// coordinator requires an abort.
		if _, _, failed := cl.ProducerID(ctx); fenced(failed) {
			return failed
		}
		return errors.Join(fmt.Errorf("not committed: %w", err), cl.EndTransaction(ctx, kgo.TryAbort))
	}
	return fmt.Errorf("no response whether it is committed: %w: %w", topic.ErrLost, err)
}

// abortTxn aborts the client's transaction. It lets buffered records be sent first, if that is
// quick: kgo assigns sequence numbers before it drops a batch, and the records of the next
// transaction would be out of sequence.
func abortTxn(ctx context.Context, cl *kgo.Client, b *Broker) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), b.c.TransactionTimeout)
	defer stop()
	soon, stopSoon := context.WithTimeout(ctx, b.c.TransactionTimeout/4)
	defer stopSoon()
	_ = cl.Flush(soon)
	if err := settleKgo(ctx, cl); err != nil { // this drops the buffered records
		return err
	}
	return cl.EndTransaction(ctx, kgo.TryAbort)
}
