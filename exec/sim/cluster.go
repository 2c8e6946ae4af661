package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/streamql/streamql/topic"
)

// The timeouts of the brokers, in ms. A member or transaction that exceeds them is removed or
// aborted.
const (
	txnTimeout       = 1000
	sessionTimeout   = 3000
	rebalanceTimeout = 6000
	deletesKept      = 20000 // minimum time that a deletion stays in a changelog
)

// cluster is the model of the brokers: topics, transactional ids, groups.
type cluster struct {
	w         *world
	topics    map[string]*log
	producers map[string]*producer
	groups    map[string]*group
	txns      []*txn
	late      []func()                    // delayed requests
	owners    map[topic.Partition]*member // the last member that received a task's positions
	ids       int
}

type log struct {
	name, id string
	compact  bool
	parts    []*partition
}

func newCluster(w *world) *cluster {
	return &cluster{w: w, topics: map[string]*log{}, producers: map[string]*producer{}, groups: map[string]*group{}, owners: map[topic.Partition]*member{}}
}

func (c *cluster) now() int64 { return c.w.now }

func (c *cluster) partition(p topic.Partition) (*partition, error) {
	l := c.topics[p.Topic]
	if l == nil || int(p.ID) >= len(l.parts) {
		return nil, fmt.Errorf("%s: %w", p, topic.ErrUnknownTopic)
	}
	return l.parts[p.ID], nil
}

// Create implements topic.Admin, for the model itself.
func (c *cluster) Create(_ context.Context, name string, conf topic.Config) error {
	if c.topics[name] != nil {
		return fmt.Errorf("%s: %w", name, topic.ErrTopicExists)
	}
	c.ids++
	l := &log{name: name, id: fmt.Sprint(name, "#", c.ids), compact: conf.Compact}
	for i := range conf.Partitions {
		l.parts = append(l.parts, &partition{Partition: topic.Partition{Topic: name, ID: i}, bug: c.w.bug})
	}
	c.topics[name] = l
	return nil
}

// Delete implements topic.Admin.
func (c *cluster) Delete(_ context.Context, name string) error {
	if c.topics[name] == nil {
		return fmt.Errorf("%s: %w", name, topic.ErrUnknownTopic)
	}
	delete(c.topics, name)
	return nil
}

// Topics implements topic.Admin.
func (c *cluster) Topics(context.Context) ([]topic.Topic, error) {
	var out []topic.Topic
	for _, name := range slices.Sorted(maps.Keys(c.topics)) {
		out = append(out, c.topics[name].describe())
	}
	return out, nil
}

func (l *log) describe() topic.Topic {
	t := topic.Topic{Name: l.name, ID: l.id}
	for _, p := range l.parts {
		to := p.next
		if p.bug == replayToStable {
			to = p.stable()
		}
		t.Partitions = append(t.Partitions, topic.Span{Partition: p.Partition, From: p.start, To: to})
	}
	return t
}

// join adds a member to a group.
func (c *cluster) join(p *process, want topic.Group) *member {
	g := c.groups[want.Name]
	if g == nil {
		g = &group{c: c, name: want.Name, tasks: want.Tasks, offsets: map[topic.Partition]topic.Offset{}}
		c.groups[want.Name] = g
	}
	return g.join(p, c.w.conf.durable)
}

// tick is the brokers' work that depends on time.
func (c *cluster) tick() {
	c.timeouts()
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		c.groups[name].tick()
	}
}

// some executes one pending event: the arrival of a marker or a delayed request, or a member's
// notice of a generation. It returns false if there is none.
func (c *cluster) some() bool {
	switch {
	case len(c.late) > 0 && c.w.one(3):
		f := c.late[0]
		c.late = c.late[1:]
		f()
		return true
	case c.w.one(2) && c.syncOne():
		return true
	}
	return c.markOne() || c.syncOne()
}

func (c *cluster) syncOne() bool {
	var waiting []*member
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		for _, m := range c.groups[name].members {
			if !m.synced && !m.p.silent() {
				waiting = append(waiting, m)
			}
		}
	}
	if len(waiting) == 0 {
		return false
	}
	waiting[c.w.pick(len(waiting))].sync()
	return true
}

// clean compacts every changelog up to a random decided offset.
func (c *cluster) clean() {
	for _, name := range slices.Sorted(maps.Keys(c.topics)) {
		l := c.topics[name]
		if !l.compact {
			continue
		}
		for _, p := range l.parts {
			upTo := p.stable()
			if back := c.w.pick(8); c.w.one(2) && upTo > topic.Offset(back) {
				upTo -= topic.Offset(back)
			}
			p.clean(upTo, c.now(), deletesKept)
		}
	}
	c.w.note("changelogs are cleaned")
}
