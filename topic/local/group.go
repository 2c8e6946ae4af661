package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/streamql/streamql/topic"
)

// member is the only member of its group and has all its tasks, because there is only one
// process.
// The worker's goroutine calls Next, Committed and Begin, and owns told. Any goroutine may call
// Close.
type member struct {
	b      *Broker
	group  topic.Group
	told   bool
	once   sync.Once
	closed chan struct{}
}

// errMemberClosed is returned by the calls of a closed member.
var errMemberClosed = errors.New("the member has left its group")

// Join implements topic.Broker. The first Next assigns all tasks, and the assignment never
// changes. Two members of one group fence each other.
func (b *Broker) Join(ctx context.Context, g topic.Group) (topic.Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return nil, err
	}
	return &member{b: b, group: g, closed: make(chan struct{})}, nil
}

// Next implements topic.Member.
func (m *member) Next(ctx context.Context) (topic.Assignment, error) {
	if !m.told {
		m.told = true
		return topic.Assignment{Epoch: 1, Tasks: m.group.Tasks}, nil
	}
	select {
	case <-ctx.Done():
		return topic.Assignment{}, ctx.Err()
	case <-m.closed:
		return topic.Assignment{}, errMemberClosed
	}
}

// Committed implements topic.Member. No transaction is ever undecided here. A position in a
// deleted topic of the same name is ignored.
func (m *member) Committed(
	_ context.Context,
	partitions ...topic.Partition,
) (map[topic.Partition]topic.Offset, error) {
	out := map[topic.Partition]topic.Offset{}
	for _, p := range partitions {
		id, at, err := m.b.position(m.group.Name, p)
		if err != nil {
			return nil, fmt.Errorf("group %q: position of %s: %w", m.group.Name, p, err)
		}
		m.b.mu.Lock()
		t := m.b.topics[p.Topic]
		known := t != nil && t.id == id
		m.b.mu.Unlock()
		if known {
			out[p] = topic.Offset(at)
		}
	}
	return out, nil
}

// position reads a group's position and the number of the topic that it belongs to; 2^64-1:
// there is none.
func (b *Broker) position(group string, p topic.Partition) (id, at uint64, err error) {
	b.writing.Lock() // keeps the database open
	defer b.writing.Unlock()
	b.mu.Lock()
	err = b.usable()
	b.mu.Unlock()
	if err != nil {
		return 0, 0, err
	}
	id = math.MaxUint64
	err = b.get(positionKey(group, p), &id, &at)
	return id, at, err
}

// Begin implements topic.Member.
func (m *member) Begin(ctx context.Context) (topic.Txn, error) { return m.b.Begin(ctx, m.group.Name) }

// Close implements topic.Member.
func (m *member) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}
