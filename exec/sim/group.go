package sim

import (
	"maps"
	"slices"

	"github.com/streamql/streamql/topic"
)

// group is a consumer group with the two-phase revocation of topic.Member: a revoked task is
// not assigned again before its owner has released it or has lost its membership.
type group struct {
	c       *cluster
	name    string
	tasks   []topic.Partition
	gen     int64
	members []*member
	ids     int
	offsets map[topic.Partition]topic.Offset
	wanted  bool // a rebalance is due
	storm   bool // it moves tasks without a reason
}

// member is a membership, as known to the coordinator and, possibly outdated, to its client.
type member struct {
	g       *group
	p       *process
	id      int
	gone    bool // removed by the coordinator
	seen    int64
	taken   int64            // since when it holds a revoked task; 0: it holds none
	coming  topic.Assignment // the assignment of the group's generation
	synced  bool             // the client has received it
	gen     int64            // of the client
	now     topic.Assignment // of the client
	told    topic.Assignment // of the worker
	began   bool             // the worker has received an assignment
	held    map[topic.Partition]bool
	product *producer
	open    *turn
}

func (g *group) join(p *process, durable bool) *member {
	if durable {
		for _, m := range slices.Clone(g.members) {
			if m.p.instance == p.instance {
				g.remove(m)
			}
		}
	}
	g.ids++
	m := &member{g: g, p: p, id: g.ids, seen: g.c.now(), held: map[topic.Partition]bool{}, synced: true}
	g.members = append(g.members, m)
	g.wanted = true
	return m
}

// remove removes a member from its group; all its later requests are refused.
func (g *group) remove(m *member) {
	if m.gone {
		return
	}
	m.gone = true
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	g.gen++
	g.wanted = true
	g.c.w.note("member %d (worker %d) has lost its membership", m.id, m.p.instance)
}

// claims reports whether a member runs a task or may start it.
func (m *member) claims(t topic.Partition) bool { return m.held[t] || slices.Contains(m.now.Tasks, t) }

// tick is the coordinator's work that depends on time: sessions expire, and due rebalances
// start.
func (g *group) tick() {
	now := g.c.now()
	for _, m := range slices.Clone(g.members) {
		if !m.p.silent() {
			m.seen = now
		}
		late := m.taken > 0 && now-m.taken > rebalanceTimeout
		if now-m.seen > sessionTimeout || late {
			g.remove(m)
		}
	}
	if !g.wanted {
		g.wanted = g.unowned()
	}
	if g.wanted && !slices.ContainsFunc(g.members, func(m *member) bool { return m.p.silent() }) {
		g.rebalance()
	}
}

// unowned reports whether some task can be assigned.
func (g *group) unowned() bool {
	return len(g.members) > 0 && slices.ContainsFunc(g.tasks, func(t topic.Partition) bool {
		return !slices.ContainsFunc(g.members, func(m *member) bool { return m.claims(t) || slices.Contains(m.coming.Tasks, t) })
	})
}

// rebalance starts a generation. Tasks do not move unless the counts are uneven, or at random.
func (g *group) rebalance() {
	g.wanted = false
	if len(g.members) == 0 {
		return
	}
	g.gen++
	fair := (len(g.tasks) + len(g.members) - 1) / len(g.members)
	given := map[*member][]topic.Partition{}
	var rest []topic.Partition
	for _, t := range g.tasks {
		i := slices.IndexFunc(g.members, func(m *member) bool { return m.claims(t) })
		if i >= 0 && len(given[g.members[i]]) < fair && !(g.storm && g.c.w.one(2)) {
			given[g.members[i]] = append(given[g.members[i]], t)
		} else if i < 0 {
			rest = append(rest, t)
		} // otherwise it is revoked and not assigned yet
	}
	for _, t := range rest {
		free := slices.DeleteFunc(slices.Clone(g.members), func(m *member) bool { return len(given[m]) >= fair })
		m := free[g.c.w.pick(len(free))]
		given[m] = append(given[m], t)
	}
	g.storm = false
	copies := g.standbys(given)
	for _, m := range g.members {
		m.coming, m.synced = topic.Assignment{Epoch: g.gen, Tasks: given[m], Standbys: copies[m], Owners: map[topic.Partition]string{}}, false
		g.c.w.note("generation %d: member %d (worker %d) gets %v", g.gen, m.id, m.p.instance, given[m])
	}
}

// standbys assigns a copy of each task's state to some member that does not own the task, if
// the run has standbys.
func (g *group) standbys(given map[*member][]topic.Partition) map[*member][]topic.Partition {
	out := map[*member][]topic.Partition{}
	if !g.c.w.conf.standbys {
		return out
	}
	for _, t := range g.tasks {
		if m := g.members[g.c.w.pick(len(g.members))]; !slices.Contains(given[m], t) {
			out[m] = append(out[m], t)
		}
	}
	return out
}

// sync delivers the generation to a member's client.
func (m *member) sync() {
	if m.synced || m.gone {
		return
	}
	m.synced, m.now, m.gen = true, m.coming, m.coming.Epoch
	for t := range m.held {
		if !slices.Contains(m.now.Tasks, t) && m.taken == 0 {
			m.taken = max(m.g.c.now(), 1)
		}
	}
}

// hold records the tasks that the worker may be running.
func (m *member) hold(tasks ...[]topic.Partition) {
	clear(m.held)
	m.taken = 0
	for _, t := range slices.Concat(tasks...) {
		m.held[t] = true
	}
}

// unstable returns an unfinished transaction that would move one of the positions, or nil.
func (g *group) unstable(parts []topic.Partition) *txn {
	for _, t := range g.c.txns {
		if t.group != g || !t.pending {
			continue
		}
		for _, p := range parts {
			if _, moves := t.offsets[p]; moves {
				return t
			}
		}
	}
	return nil
}

// expire forgets the group's positions, as a coordinator may do after a long inactivity.
func (g *group) expire() {
	if g.unstable(slices.Collect(maps.Keys(g.offsets))) == nil {
		clear(g.offsets)
		g.c.w.note("the group's positions have expired")
	}
}
