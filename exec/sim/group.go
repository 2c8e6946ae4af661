package sim

import (
	"maps"
	"slices"

	"github.com/streamql/streamql/topic"
)

// group is a consumer group with the two-phase hand-over of topic.Member: a task that is taken away goes to nobody until its owner has
// let it go or has lost its place.
type group struct {
	c       *cluster
	name    string
	tasks   []topic.Partition
	gen     int64
	members []*member
	ids     int
	offsets map[topic.Partition]topic.Offset
	wanted  bool // a rebalance is due
	storm   bool // it moves tasks for no reason
}

// member is a place in a group: what the coordinator knows, and what its client knows, which may be older.
type member struct {
	g       *group
	p       *process
	id      int
	gone    bool // the coordinator has given its place up
	seen    int64
	taken   int64            // since when it holds what is not its any more; 0: it does not
	coming  topic.Assignment // of the group's generation
	synced  bool             // the client knows of it
	gen     int64            // the client's
	now     topic.Assignment // the client's
	told    topic.Assignment // the worker's
	began   bool             // the worker has been told anything
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

// remove gives a member's place up; all that it sends in the name of that place is refused from here on.
func (g *group) remove(m *member) {
	if m.gone {
		return
	}
	m.gone = true
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	g.gen++
	g.wanted = true
	g.c.w.note("member %d (worker %d) has lost its place", m.id, m.p.instance)
}

// claims reports whether a member works on a task or may begin to.
func (m *member) claims(t topic.Partition) bool { return m.held[t] || slices.Contains(m.now.Tasks, t) }

// tick is the coordinator's clock: sessions end, what waits for a rebalance gets it.
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

// unowned reports whether some task could be given to somebody.
func (g *group) unowned() bool {
	return len(g.members) > 0 && slices.ContainsFunc(g.tasks, func(t topic.Partition) bool {
		return !slices.ContainsFunc(g.members, func(m *member) bool { return m.claims(t) || slices.Contains(m.coming.Tasks, t) })
	})
}

// rebalance begins a generation. Tasks stay where they are unless that is unfair, or chance has it.
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
		} // else it is taken away, and goes to nobody yet
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

// standbys gives a copy of each task's state to some member that does not get the task, if the run has any.
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

// sync tells a member's client of its generation.
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

// hold notes what the worker may be working on.
func (m *member) hold(tasks ...[]topic.Partition) {
	clear(m.held)
	m.taken = 0
	for _, t := range slices.Concat(tasks...) {
		m.held[t] = true
	}
}

// unstable returns a transaction that would move one of the positions and is not done, or nil.
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

// expire forgets the group's positions, as a coordinator may after a long silence.
func (g *group) expire() {
	if g.unstable(slices.Collect(maps.Keys(g.offsets))) == nil {
		clear(g.offsets)
		g.c.w.note("the group's positions have expired")
	}
}
