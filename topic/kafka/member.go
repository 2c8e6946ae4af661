package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is a process's place in a group. The group protocol is kgo's; what is assigned, and when it is let go, is decided here and in
// balance. Nothing is consumed through its client.
type member struct {
	b      *Broker
	group  topic.Group
	name   string   // the group's, on the wire
	topics []string // of the subscription
	cl     *kgo.Client
	ready  chan struct{} // closed when cl is set
	cancel context.CancelFunc
	ctx    context.Context // the client's
	work   context.Context // what is written; ends with the place
	lost   context.CancelCauseFunc
	once   sync.Once
	limits limits
	txn2   bool // transaction.version 2 (KIP-890): positions need no AddOffsetsToTxn

	next    topic.Assignment // from ParseSyncAssignment to assigned, on kgo's goroutine
	unowned bool             // some task has no owner in it

	mu      sync.Mutex
	changed chan struct{} // closed and made anew by every change of what follows
	id      string        // the broker's name of this member, once there was an assignment
	now     topic.Assignment
	told    topic.Assignment         // the last one that Next returned
	held    map[topic.Partition]bool // what the worker may be working on
	err     error                    // why there is no place any more
	open    *turn                    // the transaction, if one is open
}

const leaveTimeout = 3 * time.Second

var errLeft = errors.New("the member has left its group")

// Next implements topic.Member.
func (m *member) Next(ctx context.Context) (topic.Assignment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = map[topic.Partition]bool{}
	for _, t := range m.told.Tasks {
		m.held[t] = true
	}
	m.wake()
	for m.err == nil && (m.id == "" || sameAssignment(m.now, m.told)) {
		if err := m.wait(ctx, nil); err != nil {
			return topic.Assignment{}, err
		}
	}
	if m.err != nil {
		return topic.Assignment{}, m.err
	}
	m.told = m.now
	for _, t := range m.told.Tasks {
		m.held[t] = true
	}
	return m.told, nil
}

// sameAssignment leaves out the epoch: a new one by itself is no news.
func sameAssignment(a, b topic.Assignment) bool {
	return b.Owners != nil && slices.Equal(a.Tasks, b.Tasks) && slices.Equal(a.Standbys, b.Standbys) && maps.Equal(a.Owners, b.Owners)
}

// wake tells everybody who waits that something has changed. The lock is held.
func (m *member) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait gives the lock up until something changes. The lock is held.
func (m *member) wait(ctx context.Context, late <-chan time.Time) error {
	changed := m.changed
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-late:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// assigned is kgo's OnPartitionsAssigned: the member is in sync. Where tasks are taken away that the worker may be working on, it waits
// until the worker has let go of them, while kgo goes on with heartbeats, and then joins again without them.
func (m *member) assigned(_ context.Context, cl *kgo.Client, _ map[string][]int32) {
	id, _ := cl.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.id == ""
	m.id, m.now = id, m.next
	m.wake()
	taken := m.takenAway()
	if taken {
		late := time.NewTimer(m.b.c.RebalanceTimeout)
		defer late.Stop()
		for m.err == nil && m.takenAway() {
			if m.wait(context.Background(), late.C) != nil {
				m.lose(fmt.Errorf("tasks were taken away and not let go within the rebalance timeout of %s", m.b.c.RebalanceTimeout))
			}
		}
	}
	switch {
	case m.err != nil:
	case taken || first && m.stale():
		cl.ForceRebalance()
	case m.unowned:
		m.lookAgain(cl, m.now.Epoch)
	}
}

// lookAgain joins again when a task still has no owner after a session's time: whoever was to let it go, and to join again, has been lost
// on the way, and nobody else would.
func (m *member) lookAgain(cl *kgo.Client, epoch int64) {
	time.AfterFunc(m.b.c.SessionTimeout, func() {
		m.mu.Lock()
		still := m.err == nil && m.now.Epoch == epoch
		m.mu.Unlock()
		if still {
			cl.ForceRebalance()
		}
	})
}

// takenAway reports whether the worker may be working on a task that it does not own any more. The lock is held.
func (m *member) takenAway() bool {
	for t := range m.held {
		if !slices.Contains(m.now.Tasks, t) {
			return true
		}
	}
	return false
}

// stale reports whether a member that has come back got the answer of its earlier life, which the broker gives a member with a name of its
// own (KIP-345) without asking the leader: its tasks or its address may have changed, and what it had let go may be at nobody.
func (m *member) stale() bool {
	if !m.b.c.Durable {
		return false
	}
	for _, t := range m.now.Tasks {
		if m.now.Owners[t] != m.group.Address || !slices.Contains(m.group.Tasks, t) {
			return true
		}
	}
	for _, t := range m.group.Tasks {
		if _, ok := m.now.Owners[t]; !ok {
			return true
		}
	}
	return m.unowned
}

// claim is what the member says when it joins. kgo joins as a new member when the broker has forgotten the old one; others may have had the
// tasks in the meantime, so that place is lost.
func (m *member) claim() claim {
	<-m.ready
	c := claim{address: m.group.Address, standbys: m.group.Standbys, tasks: m.group.Tasks}
	if m.group.Warm != nil {
		c.warm = m.group.Warm()
	}
	id, _ := m.cl.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	c.epoch = m.now.Epoch
	if m.id != "" && id != m.id {
		m.lose(errors.New("the broker has forgotten the member"))
		return c
	}
	c.owned = m.now.Tasks
	return c
}

// OnGroupManageError is kgo's hook for what ends a place in a group: an expired session, a fence, a refusal.
func (m *member) OnGroupManageError(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose(err)
}

// lose ends the member: kgo would join again by itself, but the worker must first begin again from what is durable. The lock is held.
func (m *member) lose(cause error) {
	if m.err != nil {
		return
	}
	m.err = fmt.Errorf("the place in group %q is lost: %w: %w", m.name, topic.ErrLost, m.b.explain(cause, "stay in it"))
	m.lost(m.err)
	m.wake()
	m.startLeaving()
}

// startLeaving has kgo leave, and stop joining, in the background: that is what no context means to it.
func (m *member) startLeaving() {
	var noWaiting context.Context
	_ = m.cl.LeaveGroupContext(noWaiting)
}

// Close implements topic.Member. A member that is not durable leaves the group at once, so that the others need not wait for its session
// to end.
func (m *member) Close() error {
	m.once.Do(func() {
		m.end(errLeft)
		if m.cl != nil {
			m.leave()
		}
		m.cancel()
		if m.cl != nil {
			m.cl.Close()
		}
	})
	return nil
}

// end lets everybody go who waits for the member.
func (m *member) end(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = why
		m.lost(why)
	}
	m.wake()
}

// leave says goodbye by itself: kgo's own way waits for a join that is under way, which can take the rebalance timeout.
func (m *member) leave() {
	id, _ := m.cl.GroupMetadata()
	m.startLeaving()
	if id == "" || m.b.c.Durable {
		return
	}
	ctx, stop := context.WithTimeout(m.ctx, leaveTimeout)
	defer stop()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = m.name, id
	who := kmsg.NewLeaveGroupRequestMember()
	who.MemberID = id
	req.Members = append(req.Members, who)
	_, _ = req.RequestWith(ctx, m.cl) // nobody can do anything about an error, and the session ends by itself
}
