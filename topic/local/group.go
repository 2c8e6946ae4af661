package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/streamql/streamql/topic"
)

// group shares partitions among its members: sorted, the i-th partition belongs to member i modulo their number. A partition that moves
// is given to its new member only when the old one has called Next again or closed, so that two never work on it.
type group struct {
	name    string
	members []*member // in the order they came
	owner   map[topic.Partition]*member
}

// member is one worker's place. Its fields are guarded by Broker.mu.
type member struct {
	b      *Broker
	group  *group
	topics []string
	parts  []topic.Partition // all of its topics
	given  []topic.Partition // what Next returned last
	fresh  bool              // Next has not returned yet
	once   sync.Once
	closed chan struct{}
}

var errMemberClosed = errors.New("the member has left its group")

// Join implements topic.Broker. Next returns at once the first time, and then whenever the assignment has changed; the worker
// has committed what it did for partitions that it loses before it calls Next again.
func (b *Broker) Join(ctx context.Context, name string, topics ...string) (topic.Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return nil, err
	}
	m := &member{b: b, topics: topics, fresh: true, closed: make(chan struct{})}
	for _, name := range topics {
		t, err := b.find(name)
		if err != nil {
			return nil, err
		}
		for _, p := range t.parts {
			m.parts = append(m.parts, p.name())
		}
	}
	slices.SortFunc(m.parts, comparePartitions)
	m.parts = slices.Compact(m.parts)
	g := b.groups[name]
	if g == nil {
		g = &group{name: name, owner: map[topic.Partition]*member{}}
		b.groups[name] = g
	}
	m.group = g
	g.members = append(g.members, m)
	b.wake()
	return m, nil
}

// share is what a member is to have: of each partition those members count that read its topic. mu is held.
func (m *member) share() []topic.Partition {
	var out []topic.Partition
	for i, p := range m.parts {
		var readers []*member
		for _, other := range m.group.members {
			if _, reads := slices.BinarySearchFunc(other.parts, p, comparePartitions); reads {
				readers = append(readers, other)
			}
		}
		if readers[i%len(readers)] == m {
			out = append(out, p)
		}
	}
	return out
}

// Next implements topic.Member.
func (m *member) Next(ctx context.Context) (topic.Assignment, error) {
	if err := m.letGo(); err != nil {
		return topic.Assignment{}, err
	}
	for {
		m.b.mu.Lock()
		if err := m.b.usable(); err != nil {
			m.b.mu.Unlock()
			return topic.Assignment{}, err
		}
		changed := m.b.changed
		given, news := m.take()
		m.b.mu.Unlock()
		if news {
			return m.assign(given)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return topic.Assignment{}, ctx.Err()
		case <-m.closed:
			return topic.Assignment{}, errMemberClosed
		}
	}
}

// letGo gives up what the member owned and was not given again: it is done with it.
func (m *member) letGo() error {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	select {
	case <-m.closed:
		return errMemberClosed
	default:
	}
	for _, p := range m.parts {
		if m.group.owner[p] == m && !slices.Contains(m.given, p) {
			delete(m.group.owner, p)
			m.b.wake()
		}
	}
	return nil
}

// take is what the member may have now: of its share, what nobody else owns. mu is held.
func (m *member) take() (given []topic.Partition, news bool) {
	for _, p := range m.share() {
		if owner := m.group.owner[p]; owner == nil || owner == m {
			given = append(given, p)
		}
	}
	if !m.fresh && slices.Equal(given, m.given) {
		return nil, false
	}
	for _, p := range given {
		m.group.owner[p] = m
	}
	m.given, m.fresh = given, false
	return given, true
}

// assign adds the group's positions.
func (m *member) assign(given []topic.Partition) (topic.Assignment, error) {
	a := topic.Assignment{Partitions: given, Committed: map[topic.Partition]topic.Offset{}}
	for _, p := range given {
		id, at, err := m.b.position(m.group.name, p)
		if err != nil {
			return a, fmt.Errorf("group %q: position of %s: %w", m.group.name, p, err)
		}
		m.b.mu.Lock()
		t := m.b.topics[p.Topic]
		known := t != nil && t.id == id // a position in an older topic of the name means nothing
		m.b.mu.Unlock()
		if known {
			a.Committed[p] = topic.Offset(at)
		}
	}
	return a, nil
}

// position reads a group's position and the topic it belongs to, none: number 2^64-1.
func (b *Broker) position(group string, p topic.Partition) (id, at uint64, err error) {
	b.writing.Lock() // the database is not closed meanwhile
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

// Close implements topic.Member: the others take over.
func (m *member) Close() error {
	m.once.Do(func() {
		m.b.mu.Lock()
		defer m.b.mu.Unlock()
		close(m.closed)
		g := m.group
		for p, owner := range g.owner {
			if owner == m {
				delete(g.owner, p)
			}
		}
		g.members = slices.DeleteFunc(g.members, func(other *member) bool { return other == m })
		if len(g.members) == 0 {
			delete(m.b.groups, g.name)
		}
		m.b.wake()
	})
	return nil
}
