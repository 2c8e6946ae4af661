package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// txn is a transaction outside a group. It has a client of its own, which ends with it.
type txn struct {
	writer
	b     *Broker
	id    string
	ended bool
}

var (
	errEnded = errors.New("the transaction has ended")
	errName  = errors.New("kafka: Config.Name is empty; transactions need it, so that two applications do not fence one another")
)

// Begin implements topic.Sink. The transactional id is <Config.Name>.<id>. It fences at once: a transaction of the same id that began
// earlier, here or in another process, is aborted, and its Commit fails with topic.ErrFenced. A transaction must end within
// Config.TransactionTimeout after its first record. Each one dials anew, which costs a few milliseconds: what commits often joins a
// group.
func (b *Broker) Begin(ctx context.Context, id string) (topic.Txn, error) {
	if b.c.Name == "" {
		return nil, errName
	}
	l := &limits{b: b, known: map[string]int{}}
	name := b.c.Name + "." + id
	cl, err := kgo.NewClient(l.producing(kgo.TransactionalID(name), kgo.TransactionTimeout(b.c.TransactionTimeout))...)
	if err != nil {
		return nil, fmt.Errorf("kafka: the settings are refused: %w", err)
	}
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
		return t.told(err)
	}
	return nil
}

// Commit implements topic.Txn. There is no group whose positions it could move, so read must be empty. An error that is neither
// topic.ErrFenced nor topic.ErrLost says that nothing was committed. A transaction without records commits without asking the broker, so
// it does not learn that it is fenced.
func (t *txn) Commit(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	if t.ended {
		return errEnded
	}
	defer t.close()
	if len(read) > 0 {
		return errors.Join(fmt.Errorf("kafka: transaction %q moves positions, which only a member of a group can do", t.id), t.abort(ctx))
	}
	settled, err := t.flush(ctx)
	if err != nil {
		if settled && !fenced(err) {
			_ = t.abort(ctx) // what is not aborted now is aborted by the next Begin or by its timeout
		}
		return t.told(err)
	}
	if err := endTxn(ctx, t.cl, t.b, kgo.TryCommit); err != nil {
		return t.told(err)
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

func (t *txn) abort(ctx context.Context) error {
	if err := abortTxn(ctx, t.cl, t.b); err != nil && !fenced(err) {
		return t.b.explain(err, fmt.Sprintf("abort transaction %q", t.id))
	}
	return nil
}

func (t *txn) close() {
	t.ended = true
	t.release()
	t.cl.Close()
}

// told puts the transaction's name to an error, and topic.ErrFenced where that is what it means.
func (t *txn) told(err error) error {
	if fenced(err) {
		return fmt.Errorf("kafka: transaction %q: %w: %w", t.id, topic.ErrFenced, err)
	}
	return fmt.Errorf("kafka: transaction %q: %w", t.id, err)
}

// endTxn ends the client's transaction. topic.ErrLost, wrapped: nobody knows how. It does not stop half way because ctx does.
func endTxn(ctx context.Context, cl *kgo.Client, b *Broker, how kgo.TransactionEndTry) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), b.c.TransactionTimeout)
	defer stop()
	err := cl.EndTransaction(ctx, how)
	switch {
	case err == nil || fenced(err):
		return err
	case errors.Is(err, kerr.OperationNotAttempted), errors.Is(err, kerr.TransactionAbortable):
		// The first: kgo did not ask, because the producer has failed; the second: the coordinator wants it aborted.
		if _, _, failed := cl.ProducerID(ctx); fenced(failed) {
			return failed
		}
		return errors.Join(fmt.Errorf("not committed: %w", err), cl.EndTransaction(ctx, kgo.TryAbort))
	}
	return fmt.Errorf("no answer whether it is committed: %w: %w", topic.ErrLost, err)
}

// abortTxn aborts what the client has begun. It has the records sent first, if that goes soon: kgo numbers a batch before it drops it, and
// then the next transaction's records are out of sequence.
func abortTxn(ctx context.Context, cl *kgo.Client, b *Broker) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), b.c.TransactionTimeout)
	defer stop()
	soon, stopSoon := context.WithTimeout(ctx, b.c.TransactionTimeout/4)
	defer stopSoon()
	_ = cl.Flush(soon)
	if err := settleKgo(ctx, cl); err != nil { // which drops what is still there
		return err
	}
	return cl.EndTransaction(ctx, kgo.TryAbort)
}
