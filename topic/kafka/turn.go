package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// turn is a transaction of a member. Any error of Commit loses the member: there is one way to recover, and it begins with Join.
type turn struct {
	writer
	m     *member
	ended bool
}

var errNothing = errors.New("it moves positions and has no records; a task writes at least its changelog")

// Begin implements topic.Member.
func (m *member) Begin(ctx context.Context) (topic.Txn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return nil, m.err
	case m.id == "":
		return nil, fmt.Errorf("group %q: Next has not told an assignment yet", m.name)
	case m.open != nil:
		return nil, fmt.Errorf("group %q: the transaction before has not ended", m.name)
	}
	if !m.group.AtLeastOnce {
		if err := m.cl.BeginTransaction(); err != nil {
			m.lose(err)
			return nil, m.err
		}
	}
	t := &turn{m: m, writer: writer{cl: m.cl, limits: &m.limits, base: m.work}}
	if !m.group.AtLeastOnce {
		t.after = m.b.c.TransactionTimeout
	}
	m.open = t
	return t, nil
}

// Write implements topic.Txn. A record that is too large is left out; any other error loses the member, as one of Commit does. Of a group with AtLeastOnce the records are visible at once.
func (t *turn) Write(p topic.Partition, records ...topic.Record) error {
	if t.ended {
		return errEnded
	}
	err := t.writer.Write(p, records...)
	if errors.Is(err, topic.ErrTooLarge) {
		return fmt.Errorf("group %q: %w", t.m.name, err)
	}
	return t.lost(err)
}

// Commit implements topic.Txn. All positions in read go with it, moved or not: an owner of today thereby refuses one of yesterday.
func (t *turn) Commit(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	if t.ended {
		return errEnded
	}
	defer t.close()
	if t.m.group.AtLeastOnce {
		return t.lost(t.commitPlain(ctx, read))
	}
	if len(read) > 0 && t.records == 0 { // kgo would not end what it takes for empty
		return fmt.Errorf("group %q: the transaction is not committed: %w", t.m.name, errors.Join(errNothing, t.abort(ctx)))
	}
	settled, err := t.flush(ctx)
	if err == nil && len(read) > 0 {
		err = t.move(ctx, read)
	}
	if err != nil {
		if settled && !fenced(err) && !t.m.left() {
			_ = abortTxn(ctx, t.cl, t.m.b) // else the fence of the next Join does it, or the timeout
		}
		return t.lost(err)
	}
	return t.lost(endTxn(ctx, t.cl, t.m.b, kgo.TryCommit))
}

func (t *turn) commitPlain(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	ctx, stop := context.WithTimeout(ctx, t.m.b.c.RetryTimeout)
	defer stop()
	if _, err := t.flush(ctx); err != nil || len(read) == 0 {
		return err
	}
	return t.move(ctx, read)
}

// Abort implements topic.Txn. Of a group with AtLeastOnce it takes nothing back.
func (t *turn) Abort(ctx context.Context) error {
	if t.ended {
		return nil
	}
	defer t.close()
	return t.abort(ctx)
}

func (t *turn) abort(ctx context.Context) error {
	var err error
	if t.m.group.AtLeastOnce {
		_, err = t.flush(ctx)
	} else {
		err = abortTxn(ctx, t.cl, t.m.b)
	}
	return t.lost(err)
}

func (t *turn) close() {
	t.ended = true
	t.release()
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.open = nil
}

// lost makes an error of the transaction the end of the member.
func (t *turn) lost(err error) error {
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
	return fmt.Errorf("group %q: the transaction is not known to be committed: %w: %w", t.m.name, topic.ErrLost, err)
}

func (m *member) left() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err != nil
}

// place is the member's id and generation, while it has its place.
func (m *member) place() (string, int32, error) {
	id, generation := m.cl.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", 0, m.err
	}
	if id != m.id {
		return "", 0, errors.New("the broker has forgotten the member")
	}
	return id, generation, nil
}
