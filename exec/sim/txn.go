package sim

import (
	"slices"

	"github.com/streamql/streamql/topic"
)

// The states of a transaction. Decided is not finished: its markers reach the partitions later,
// one by one, in any order.
const (
	ongoing = iota
	committed
	aborted
)

// producer is the coordinator's state of a transactional id. Its epoch increases with each
// fence, timeout and end (KIP-890), so a delayed request has an outdated epoch.
type producer struct {
	id    string
	epoch int
	txn   *txn // the last one; nil: none yet
}

type txn struct {
	producer *producer
	epoch    int
	state    int
	began    int64
	parts    []*partition // written to
	marks    []*partition // decided, with a pending marker
	group    *group       // the group of the positions that it moves; nil: none
	member   *member
	offsets  map[topic.Partition]topic.Offset
	pending  bool // its positions are not applied to the group yet
}

// begin starts a transaction of a producer, whose previous one must be finished.
func (c *cluster) begin(p *producer) *txn {
	p.txn = &txn{producer: p, epoch: p.epoch, began: c.now()}
	c.txns = append(c.txns, p.txn)
	return p.txn
}

// fence takes over a transactional id: the open transaction of its previous owner is aborted
// and finished.
func (c *cluster) fence(id string) *producer {
	p := c.producers[id]
	if p == nil {
		p = &producer{id: id}
		c.producers[id] = p
	}
	if t := p.txn; t != nil {
		if t.state == ongoing {
			c.decide(t, aborted)
		}
		c.finish(t)
	}
	p.epoch++
	return p
}

// alive reports whether a transaction is undecided and belongs to the producer's epoch.
func (t *txn) alive() bool { return t.state == ongoing && t.epoch == t.producer.epoch }

// decide is the single point at which a transaction is committed or aborted.
func (c *cluster) decide(t *txn, as int) {
	t.state = as
	t.producer.epoch++
	t.marks = slices.Clone(t.parts)
	c.w.note("txn %s/%d: %s", t.producer.id, t.epoch, []string{"", "committed", "aborted"}[as])
	if as == committed {
		c.owned(t)
	}
}

// owned checks the promise of topic.Member for a commit: a member cannot commit for a task
// after a later owner has received its positions.
func (c *cluster) owned(t *txn) {
	for _, p := range t.parts {
		if owner := c.owners[p.Partition]; owner != nil && owner != t.member {
			c.w.violation("%s of generation %d commits for %s, which member %d has taken up", t.producer.id, t.member.gen, p.Partition, owner.id)
		}
	}
}

// outstanding returns the number of pending markers of a decided transaction, including that of
// its group.
func (t *txn) outstanding() int {
	if t.state == ongoing {
		return 0
	}
	n := len(t.marks)
	if t.pending {
		n++
	}
	return n
}

// mark writes one pending marker.
func (c *cluster) mark(t *txn, i int) {
	if i < len(t.marks) {
		p := t.marks[i]
		t.marks = slices.Delete(t.marks, i, i+1)
		p.mark(t)
		c.w.note("marker of %s/%d on %s", t.producer.id, t.epoch, p.Partition)
		return
	}
	t.pending = false
	if t.state == committed {
		for p, o := range t.offsets {
			t.group.offsets[p] = o
		}
	}
	c.w.note("marker of %s/%d on the positions", t.producer.id, t.epoch)
}

// finish writes all markers of a decided transaction.
func (c *cluster) finish(t *txn) {
	for n := t.outstanding(); n > 0; n = t.outstanding() {
		c.mark(t, c.w.pick(n))
	}
}

// markOne writes some pending marker, if there is one.
func (c *cluster) markOne() bool {
	c.txns = slices.DeleteFunc(c.txns, func(t *txn) bool { return t.state != ongoing && t.outstanding() == 0 })
	var owing []*txn
	for _, t := range c.txns {
		if t.outstanding() > 0 {
			owing = append(owing, t)
		}
	}
	if len(owing) == 0 {
		return false
	}
	t := owing[c.w.pick(len(owing))]
	c.mark(t, c.w.pick(t.outstanding()))
	return true
}

// timeouts aborts transactions that were open for too long.
func (c *cluster) timeouts() {
	for _, t := range c.txns {
		if t.state == ongoing && c.now()-t.began > txnTimeout {
			c.w.note("txn %s/%d timed out", t.producer.id, t.epoch)
			c.decide(t, aborted)
		}
	}
}
