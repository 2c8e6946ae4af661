package kafka

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/streamql/streamql/topic"
)

// share is what one member gets in a generation.
type share struct {
	tasks, standbys []topic.Partition
}

// balance shares the tasks out. Its goals, the first ones first: no task is at two members, the members' numbers of tasks differ by at
// most one, a task stays where it is, it goes to the member whose copy of its state reaches furthest.
//
// It takes two generations to move a task, as KIP-429 has it: in the first one nobody gets a task that another member still claims, which
// tells that member to let go; it joins again without the claim, and then the task is free. A standby that has caught up moves nothing
// by itself: warmth counts only where a task has to move anyway.
//
// Members may have different lists of tasks, while a change of the job spreads: a task goes only to a member that lists it, and a task
// that its owner no longer lists is taken away. The numbers are then as even as single moves make them.
//
// The result depends on nothing but members, whose order must not matter to the caller: they are sorted by id.
func balance(members []claim) []share {
	slices.SortStableFunc(members, func(a, b claim) int { return cmp.Compare(a.id, b.id) })
	p := newPlan(members)
	p.keep()
	p.placeWarm()
	p.placeRest()
	p.even()
	return p.shares()
}

// plan is a distribution in the making. Members and tasks are indexes.
type plan struct {
	members []claim
	tasks   []topic.Partition
	at      map[topic.Partition]int // task to index
	lists   []map[int]bool          // per member: the tasks it can run
	claims  [][]int                 // per task: the members that have it now
	to      []int                   // per task: the member that shall have it, -1: nobody yet
	load    []int                   // per member: how many tasks go to it
	quota   []int                   // per member: how many should
}

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
	p.lists, p.load, p.quota = make([]map[int]bool, len(members)), make([]int, len(members)), make([]int, len(members))
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

// keep leaves each task with its one owner. Two that claim a task, which can only be a fault, both lose it.
func (p *plan) keep() {
	for t, by := range p.claims {
		p.to[t] = -1
		if len(by) == 1 && p.lists[by[0]][t] {
			p.give(t, by[0])
		}
	}
	if len(p.members) == 0 {
		return
	}
	each, more := len(p.tasks)/len(p.members), len(p.tasks)%len(p.members)
	for rank, m := range p.rank(func(m int) int { return -p.load[m] }) { // those who have more keep more
		p.quota[m] = each
		if rank < more {
			p.quota[m]++
		}
	}
}

// rank is the members in the order of a number, then of their ids.
func (p *plan) rank(by func(m int) int) []int {
	order := make([]int, len(p.members))
	for m := range order {
		order[m] = m
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(by(a), by(b)) })
	return order
}

func (p *plan) give(t, m int) {
	p.to[t] = m
	p.load[m]++
}

func (p *plan) take(t int) {
	p.load[p.to[t]]--
	p.to[t] = -1
}

func (p *plan) room(m int) int { return p.quota[m] - p.load[m] }

// warm is how far a member's copy of a task's state reaches, -1: it has none.
func (p *plan) warm(m, t int) int64 {
	if at, ok := p.members[m].warm[p.tasks[t]]; ok {
		return int64(at)
	}
	return -1
}

// copies are the pairs of a task and a member that has a copy of its state and can run it, the furthest first.
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

func (p *plan) placeWarm() {
	for _, c := range p.copies(func(t int) bool { return p.to[t] < 0 }) {
		if t, m := c[0], c[1]; p.to[t] < 0 && p.room(m) > 0 {
			p.give(t, m)
		}
	}
}

// placeRest gives what is left to those who lack most; a task that nobody with room can run goes to the one with the fewest, its own
// owner where that is as good.
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
			if best < 0 || p.room(m) > p.room(best) || p.room(best) <= 0 && p.load[m] == p.load[best] && slices.Contains(p.claims[t], m) {
				best = m
			}
		}
		if best >= 0 {
			p.give(t, best)
		}
	}
}

// even moves single tasks from the fullest members to emptier ones, as long as that makes the numbers more equal.
func (p *plan) even() {
	for {
		t, to := p.move()
		if t < 0 {
			return
		}
		p.take(t)
		p.give(t, to)
	}
}

// move is the best next step: from a member as full as possible to one as empty as possible, there a task that nobody has yet, else
// the one whose copy at the receiver reaches furthest. -1: there is nothing to gain.
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

// shares are what the members get now: a task that somebody else still claims waits for the next generation.
func (p *plan) shares() []share {
	out := make([]share, len(p.members))
	for t, m := range p.to {
		switch {
		case m < 0:
		case !slices.ContainsFunc(p.claims[t], func(by int) bool { return by != m }):
			out[m].tasks = append(out[m].tasks, p.tasks[t])
		case p.warm(m, t) >= 0: // it is the next owner, and must not drop its copy while it waits
			out[m].standbys = append(out[m].standbys, p.tasks[t])
		}
	}
	p.standbys(out)
	for m := range out {
		slices.SortFunc(out[m].standbys, topic.Compare)
	}
	return out
}

// standbys spreads the copies over members that can run the task and will not own it, first where there is a copy already.
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
