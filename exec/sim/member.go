package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/streamql/streamql/topic"
)

func (m *member) lost(why string) error {
	return fmt.Errorf("member %d: %s: %w", m.id, why, topic.ErrLost)
}

// Next implements topic.Member.
func (m *member) Next(ctx context.Context) (topic.Assignment, error) {
	m.p.touch("next")
	m.hold(m.told.Tasks)
	for {
		switch {
		case m.gone:
			return topic.Assignment{}, m.lost("the session has ended")
		case m.gen > 0 && (!m.began || !slices.Equal(m.now.Tasks, m.told.Tasks) || !slices.Equal(m.now.Standbys, m.told.Standbys)):
			m.hold(m.told.Tasks, m.now.Tasks)
			m.began, m.told = true, m.now
			m.sync()
			m.p.touch("next returned")
			return m.told, nil
		case !m.synced && m.p.w.one(2):
			m.sync()
			continue
		}
		if err := ctx.Err(); err != nil {
			return topic.Assignment{}, err
		}
		m.p.touch("next waits")
	}
}

// Committed implements topic.Member.
func (m *member) Committed(ctx context.Context, parts ...topic.Partition) (map[topic.Partition]topic.Offset, error) {
	m.p.touch("committed")
	for m.p.w.bug != noRequireStable {
		t := m.g.unstable(parts)
		if t == nil {
			break
		}
		if t.state == ongoing && t.producer == m.product {
			m.p.w.violation("recovery waits for a transaction of the worker's earlier process")
		}
		if err := m.p.wait(ctx); err != nil {
			return nil, err
		}
	}
	if m.gone {
		return nil, m.lost("the member is unknown")
	}
	out := map[topic.Partition]topic.Offset{}
	for _, p := range parts {
		if o, ok := m.g.offsets[p]; ok {
			out[p] = o
		}
		if slices.Contains(m.g.tasks, p) && m.claims(p) {
			m.g.c.owners[p] = m
		}
	}
	m.p.touch("committed returned")
	return out, nil
}

// Begin implements topic.Member.
func (m *member) Begin(context.Context) (topic.Txn, error) {
	m.p.touch("begin")
	if m.open != nil {
		return nil, fmt.Errorf("member %d: the previous transaction has not ended", m.id)
	}
	m.open = &turn{m: m, ends: map[topic.Partition]topic.Offset{}}
	return m.open, nil
}

// Close implements topic.Member.
func (m *member) Close() error {
	m.p.touch("leave")
	if !m.p.w.conf.durable {
		m.g.remove(m)
	}
	return nil
}

// turn is a transaction of a member, or of a writer without a group, whose member is nil.
type turn struct {
	m     *member
	txn   *txn
	ends  map[topic.Partition]topic.Offset
	queue []queued // written but not sent
	ended bool
	asked bool // a commit was requested; its outcome is unknown until the response
	err   error
}

type queued struct {
	p topic.Partition
	r topic.Record
}

// Write implements topic.Txn. Records are sent in order, some time before the commit.
func (t *turn) Write(p topic.Partition, records ...topic.Record) error {
	for _, r := range records {
		t.queue = append(t.queue, queued{p, clone(r)})
		if t.m.p.w.one(3) {
			t.send(1 + t.m.p.w.pick(len(t.queue)))
		}
	}
	return nil
}

func clone(r topic.Record) topic.Record {
	r.Key, r.Value, r.Headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers)
	return r
}

// send appends records to their partitions. An error is reported by the commit.
func (t *turn) send(n int) {
	t.m.p.touch("produce")
	for _, q := range t.queue[:n] {
		if t.err == nil {
			t.err = t.produce(q)
		}
	}
	t.queue = t.queue[n:]
	t.m.p.touch("produced")
}

func (t *turn) produce(q queued) error {
	c := t.m.p.w.cluster
	if err := t.begin(); err != nil {
		return err
	}
	if !c.w.calm && c.w.one(300) {
		return t.m.lost("a record was not acknowledged")
	}
	p, err := c.partition(q.p)
	if err != nil {
		return err
	}
	t.ends[q.p] = p.write(t.txn, q.r) + 1
	return nil
}

// begin registers the transaction with the coordinator. A decided predecessor must be finished
// first.
func (t *turn) begin() error {
	c, pr := t.m.p.w.cluster, t.m.product
	if t.txn == nil {
		if pr.txn != nil && pr.txn.state != ongoing {
			c.finish(pr.txn)
		}
		t.txn = pr.txn // of an earlier process that was not fenced
		if t.txn == nil || t.txn.state != ongoing {
			t.txn = c.begin(pr)
		}
		t.txn.member = t.m
	}
	if !t.txn.alive() {
		return fmt.Errorf("%s: %w", t.m.lost("the producer is fenced"), topic.ErrFenced)
	}
	return nil
}

// Commit implements topic.Txn. Any error ends the membership.
func (t *turn) Commit(_ context.Context, read map[topic.Partition]topic.Offset) error {
	if t.ended {
		return fmt.Errorf("the transaction has ended")
	}
	t.end()
	err := t.commit(read)
	if err == nil {
		return nil
	}
	t.abort()
	if t.m.g != nil && !t.m.p.w.conf.durable {
		t.m.g.remove(t.m)
	}
	return fmt.Errorf("%w: %w", topic.ErrLost, err)
}

func (t *turn) commit(read map[topic.Partition]topic.Offset) error {
	c := t.m.p.w.cluster
	t.send(len(t.queue))
	if t.err != nil {
		return t.err
	}
	if err := t.begin(); err != nil {
		return err
	}
	if len(read) > 0 {
		if err := t.move(read); err != nil {
			return err
		}
	}
	t.m.p.touch("end")
	t.asked = true
	if !c.w.calm && c.w.one(60) {
		return t.lose()
	}
	if err := t.begin(); err != nil {
		return err
	}
	c.decide(t.txn, committed)
	if !c.w.calm && c.w.one(60) {
		c.w.note("the response is lost")
		return t.m.lost("no response whether it is committed")
	}
	t.m.p.touch("ended")
	return nil
}

// move sends the positions, which the coordinator accepts only from members of its generation.
func (t *turn) move(read map[topic.Partition]topic.Offset) error {
	m := t.m
	m.p.touch("positions")
	if m.gone || m.gen != m.g.gen {
		return m.lost(fmt.Sprintf("generation %d is refused, it is %d", m.gen, m.g.gen))
	}
	if err := t.begin(); err != nil {
		return err
	}
	t.txn.group, t.txn.offsets, t.txn.pending = m.g, maps.Clone(read), true
	m.p.touch("positions moved")
	return nil
}

// lose loses the commit request, or delays it.
func (t *turn) lose() error {
	c, x := t.m.p.w.cluster, t.txn
	c.w.note("the request to commit %s/%d is lost", x.producer.id, x.epoch)
	if c.w.one(2) {
		c.late = append(c.late, func() {
			if x.alive() {
				c.w.note("it is delayed")
				c.decide(x, committed)
			}
		})
	}
	return t.m.lost("no response whether it is committed")
}

// Ends implements topic.Placer.
func (t *turn) Ends() map[topic.Partition]topic.Offset { return t.ends }

// Abort implements topic.Txn.
func (t *turn) Abort(context.Context) error {
	if !t.ended {
		t.end()
		t.m.p.touch("abort")
		t.abort()
	}
	return nil
}

func (t *turn) end() {
	t.ended = true
	if t.m.open == t {
		t.m.open = nil
	}
}

// abort requests the end of the transaction; if the request is lost, the next fence or the
// timeout aborts it.
func (t *turn) abort() {
	c := t.m.p.w.cluster
	if t.txn != nil && t.txn.alive() && !t.asked && !c.w.one(3) {
		c.decide(t.txn, aborted)
	}
}
