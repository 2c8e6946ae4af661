package kafka

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/streamql/streamql/topic"
)

// share is one member's part of an assignment.
type share struct {
	tasks, standbys []topic.Partition
}

// balance assigns tasks to members. Its goals in the order of priority: no task is assigned to
// two members; the task counts of the members differ by at most one; a task stays on its owner;
// otherwise it moves to the member whose copy of its state extends furthest.
//
// Moving a task takes two generations, as in KIP-429. In the first, a task that another member
// still claims is assigned to no member, which revokes it from the claiming one. That member
// joins again without the claim, and then the task is free. A standby that has caught up does
// not move a task by itself; copies are considered only if a task has to move anyway.
//
// While a change of the job spreads, members may have different lists of tasks. A task is
// assigned only to members that list it, and revoked from an owner that no longer lists it. The
// task counts are then as even as moves of single tasks can make them.
//
// The result depends only on members, not on their order: they are sorted by id.
func balance(members []claim) []share {
	slices.SortStableFunc(members, func(a, b claim) int { return cmp.Compare(a.id, b.id) })
	p := newPlan(members)
	p.keep()
	p.placeWarm()
	p.placeRest()
	p.equalize()
	return p.shares()
}

// plan is an assignment in progress. Members and tasks are represented by indexes.
type plan struct {
	members []claim
	tasks   []topic.Partition
	at      map[topic.Partition]int // index of each task
	lists   []map[int]bool          // per member: the tasks it can run
	claims  [][]int                 // per task: the members that run it now
	to      []int                   // per task: the member to assign it to; -1: none yet
	load    []int                   // per member: the number of tasks assigned
	quota   []int                   // per member: the number of tasks it should have
}

// newPlan indexes the members' tasks and claims. Nothing is assigned yet.
func newPlan(members []claim) *plan {
	p := &plan{members: members, at: map[topic.Partition]int{}}
	for _, m := range members {
		p.tasks = append(p.tasks, m.tasks...)
	}
	slices.SortFunc(p.tasks, topic.Compare)
	p.tasks = slices.Compact(p.tasks)
	for i, t := range p.tasks {
		p.at[t] = i
	}
	p.claims, p.to = make([][]int, len(p.tasks)), make([]int, len(p.tasks))
	p.lists, p.load, p.quota = make(
		[]map[int]bool,
		len(members),
	), make(
		[]int,
		len(members),
	), make(
		[]int,
		len(members),
	)
	for m, c := range members {
		p.lists[m] = map[int]bool{}
		for _, t := range c.tasks {
			p.lists[m][p.at[t]] = true
		}
		for _, t := range c.owned {
			if i, ok := p.at[t]; ok && !slices.Contains(p.claims[i], m) {
				p.claims[i] = append(p.claims[i], m)
			}
		}
	}
	return p
}

// keep assigns each task to its owner, up to the owner's quota. A task with two claims, which
// only a fault can cause, is revoked from both.
func (p *plan) keep() {
	for t, by := range p.claims {
		p.to[t] = -1
		if len(by) == 1 && p.lists[by[0]][t] {
			p.assign(t, by[0])
		}
	}
	if len(p.members) == 0 {
		return
	}
	each, more := len(p.tasks)/len(p.members), len(p.tasks)%len(p.members)
	for rank, m := range p.rank(func(m int) int { return -p.load[m] }) {
		// members with more tasks get the larger quotas
		p.quota[m] = each
		if rank < more {
			p.quota[m]++
		}
	}
}

// rank returns the members ordered by a number, then by id.
func (p *plan) rank(by func(m int) int) []int {
	order := make([]int, len(p.members))
	for m := range order {
		order[m] = m
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(by(a), by(b)) })
	return order
}

// assign assigns task t to member m.
func (p *plan) assign(t, m int) {
	p.to[t] = m
	p.load[m]++
}

// unassign makes task t free.
func (p *plan) unassign(t int) {
	p.load[p.to[t]]--
	p.to[t] = -1
}

// spare returns how many tasks a member may still receive.
func (p *plan) spare(m int) int { return p.quota[m] - p.load[m] }

// warm returns how far a member's copy of a task's state extends, -1 if it has none.
func (p *plan) warm(m, t int) int64 {
	if at, ok := p.members[m].warm[p.tasks[t]]; ok {
		return int64(at)
	}
	return -1
}

// copies returns the pairs of a task that want selects and a member that has a copy of its
// state and can run it, the furthest copy first.
func (p *plan) copies(want func(t int) bool) [][2]int {
	var pairs [][2]int
	for t := range p.tasks {
		for m := range p.members {
			if want(t) && p.lists[m][t] && p.warm(m, t) >= 0 {
				pairs = append(pairs, [2]int{t, m})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b [2]int) int { return cmp.Compare(p.warm(b[1], b[0]), p.warm(a[1], a[0])) })
	return pairs
}

// placeWarm assigns free tasks to members that have copies of their states.
func (p *plan) placeWarm() {
	for _, c := range p.copies(func(t int) bool { return p.to[t] < 0 }) {
		if t, m := c[0], c[1]; p.to[t] < 0 && p.spare(m) > 0 {
			p.assign(t, m)
		}
	}
}

// placeRest assigns the remaining tasks to the members with the most spare quota. If no member
// with spare quota can run a task, the one with the fewest tasks gets it, and its present owner
// on a tie.
func (p *plan) placeRest() {
	for t := range p.tasks {
		if p.to[t] >= 0 {
			continue
		}
		best := -1
		for _, m := range p.rank(func(m int) int { return p.load[m] }) {
			if !p.lists[m][t] {
				continue
			}
			if best < 0 || p.spare(m) > p.spare(best) ||
				p.spare(best) <= 0 && p.load[m] == p.load[best] && slices.Contains(p.claims[t], m) {
				best = m
			}
		}
		if best >= 0 {
			p.assign(t, best)
		}
	}
}

// equalize moves single tasks from the fullest members to emptier ones while that makes the
// counts more equal.
func (p *plan) equalize() {
	for {
		t, to := p.move()
		if t < 0 {
			return
		}
		p.unassign(t)
		p.assign(t, to)
	}
}

// move returns the best next move: from the fullest possible member to the emptiest possible
// one; between these two, a task that no member claims, else the task of which the receiver has
// the furthest copy. -1: no move is useful.
func (p *plan) move() (task, to int) {
	order := p.rank(func(m int) int { return p.load[m] })
	for f := len(order) - 1; f > 0; f-- {
		most := p.load[order[f]]
		for _, to := range order {
			if most-p.load[to] < 2 {
				break
			}
			best, worth := -1, int64(-2)
			for t, from := range p.to {
				if from < 0 || p.load[from] != most || !p.lists[to][t] {
					continue
				}
				w := p.warm(to, t)
				if len(p.claims[t]) == 0 {
					w = math.MaxInt64
				}
				if w > worth {
					best, worth = t, w
				}
			}
			if best >= 0 {
				return best, to
			}
		}
	}
	return -1, -1
}

// shares returns the result for each member. Tasks that another member still claims wait for
// the next generation.
func (p *plan) shares() []share {
	out := make([]share, len(p.members))
	for t, m := range p.to {
		switch {
		case m < 0:
		case !slices.ContainsFunc(p.claims[t], func(by int) bool { return by != m }):
			out[m].tasks = append(out[m].tasks, p.tasks[t])
		case p.warm(m, t) >= 0:
			// it will own the task in the next generation and must not drop its copy meanwhile
			out[m].standbys = append(out[m].standbys, p.tasks[t])
		}
	}
	p.standbys(out)
	for m := range out {
		slices.SortFunc(out[m].standbys, topic.Compare)
	}
	return out
}

// standbys distributes the copies over members that can run the task and will not own it,
// preferring members that have a copy already.
func (p *plan) standbys(out []share) {
	wanted := 0
	for _, m := range p.members {
		wanted = max(wanted, m.standbys)
	}
	wanted = min(wanted, len(p.members)-1)
	if wanted <= 0 {
		return
	}
	most := (len(p.tasks)*wanted + len(p.members) - 1) / len(p.members)
	has, load := make([]map[int]bool, len(p.tasks)), make([]int, len(p.members))
	add := func(t, m int) {
		if has[t] == nil {
			has[t] = map[int]bool{}
		}
		has[t][m] = true
		load[m]++
	}
	may := func(t, m int) bool { return p.lists[m][t] && p.to[t] != m && !has[t][m] && len(has[t]) < wanted }
	for _, c := range p.copies(func(int) bool { return true }) {
		if t, m := c[0], c[1]; may(t, m) && load[m] < most {
			add(t, m)
		}
	}
	for range wanted {
		for t := range p.tasks {
			for _, m := range p.rank(func(m int) int { return load[m] }) {
				if may(t, m) {
					add(t, m)
					break
				}
			}
		}
	}
	for t, ms := range has {
		for _, m := range slices.Sorted(maps.Keys(ms)) {
			out[m].standbys = append(out[m].standbys, p.tasks[t])
		}
	}
}
