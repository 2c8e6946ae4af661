package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// memberTxn is a transaction of a member. Any error of Commit ends the membership. There is one
// way to recover, which begins with Join.
type memberTxn struct {
	writer
	m     *member
	ended bool
}

// errNothing reports a transaction of positions only.
var errNothing = errors.New(
	"the transaction moves positions but has no records; a task writes at least its changelog",
)

// Begin implements topic.Member.
func (m *member) Begin(ctx context.Context) (topic.Txn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return nil, m.err
	case m.id == "":
		return nil, fmt.Errorf("group %q: Next has not returned an assignment yet", m.name)
	case m.open != nil:
		return nil, fmt.Errorf("group %q: the previous transaction has not ended", m.name)
	}
	if !m.group.AtLeastOnce {
		if err := m.cl.BeginTransaction(); err != nil {
			m.lose(err)
			return nil, m.err
		}
	}
	// base is work, so that the loss of the membership cancels unsent records.
	t := &memberTxn{m: m, writer: writer{cl: m.cl, limits: &m.limits, base: m.work}}
	if !m.group.AtLeastOnce {
		t.after = m.b.c.TransactionTimeout
	}
	m.open = t
	return t, nil
}

// Write implements topic.Txn. A record that is too large is skipped; any other error ends the
// membership, like an error of Commit. In a group with AtLeastOnce the records are visible at
// once.
func (t *memberTxn) Write(p topic.Partition, records ...topic.Record) error {
	if t.ended {
		return errEnded
	}
	err := t.writer.Write(p, records...)
	if errors.Is(err, topic.ErrTooLarge) {
		return fmt.Errorf("group %q: %w", t.m.name, err)
	}
	return t.lost(err)
}

// Commit implements topic.Txn. All positions in read are sent, even if they have not moved,
// because that fences former owners.
func (t *memberTxn) Commit(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	if t.ended {
		return errEnded
	}
	defer t.close()
	if t.m.group.AtLeastOnce {
		return t.lost(t.commitPlain(ctx, read))
	}
	if len(read) > 0 && t.records == 0 { // kgo would not end a transaction that it considers empty
		return fmt.Errorf(
			"group %q: the transaction is not committed: %w",
			t.m.name,
			errors.Join(errNothing, t.abort(ctx)),
		)
	}
	settled, err := t.flush(ctx)
	if err == nil && len(read) > 0 {
		err = t.move(ctx, read)
	}
	if err != nil {
		if settled && !fenced(err) && !t.m.left() {
			_ = abortTxn(ctx, t.cl, t.m.b) // otherwise the next Join fences it, or it times out
		}
		return t.lost(err)
	}
	return t.lost(endTxn(ctx, t.cl, t.m.b, kgo.TryCommit))
}

// commitPlain is Commit without transactions.
func (t *memberTxn) commitPlain(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	ctx, stop := context.WithTimeout(ctx, t.m.b.c.RetryTimeout)
	defer stop()
	if _, err := t.flush(ctx); err != nil || len(read) == 0 {
		return err
	}
	return t.move(ctx, read)
}

// Abort implements topic.Txn. In a group with AtLeastOnce the written records remain.
func (t *memberTxn) Abort(ctx context.Context) error {
	if t.ended {
		return nil
	}
	defer t.close()
	return t.abort(ctx)
}

// abort ends the transaction without checking that it is open.
func (t *memberTxn) abort(ctx context.Context) error {
	var err error
	if t.m.group.AtLeastOnce {
		_, err = t.flush(ctx)
	} else {
		err = abortTxn(ctx, t.cl, t.m.b)
	}
	return t.lost(err)
}

// close ends the transaction for the member, whatever its outcome.
func (t *memberTxn) close() {
	t.ended = true
	t.release()
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.open = nil
}

// lost ends the membership because of an error of the transaction.
func (t *memberTxn) lost(err error) error {
	if err == nil {
		return nil
	}
	if fenced(err) {
		err = fmt.Errorf("%w: %w", topic.ErrFenced, err)
	}
	if unauthorized(err) {
		err = t.m.b.explain(err, fmt.Sprintf("commit for group %q", t.m.name))
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.lose(err)
	return fmt.Errorf(
		"group %q: it is unknown whether the transaction is committed: %w: %w",
		t.m.name,
		topic.ErrLost,
		err,
	)
}

// left reports whether the membership has ended.
func (m *member) left() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err != nil
}

// membership returns the member's id and generation, or an error if it has no membership.
func (m *member) membership() (string, int32, error) {
	id, generation := m.cl.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", 0, m.err
	}
	if id != m.id {
		return "", 0, errors.New("the broker no longer knows the member")
	}
	return id, generation, nil
}
