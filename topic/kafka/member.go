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

// member is a process's membership in a group. kgo implements the group protocol; balance
// decides the assignment, and this type decides when revoked tasks are released. Nothing is
// consumed through its client.
//
// mu guards the fields from changed on. kgo calls assigned, ParseSyncAssignment and the claim
// from its own goroutine; the worker calls Next, Committed and Begin from another.
type member struct {
	b      *Broker
	group  topic.Group
	name   string   // of the group, on the wire
	topics []string // of the subscription
	cl     *kgo.Client
	ready  chan struct{} // closed when cl is set
	cancel context.CancelFunc
	forget func() bool     // ends the broker's reference to the member, which Join creates
	ctx    context.Context // of the client
	work   context.Context // context of writes; ends with the membership
	lost   context.CancelCauseFunc
	once   sync.Once
	limits limits
	txn2   bool // transaction.version 2 (KIP-890): positions need no AddOffsetsToTxn

	// kgo calls ParseSyncAssignment and assigned from two goroutines, but never at the same time:
	// it starts no join before assigned has returned.
	next    topic.Assignment // between ParseSyncAssignment and assigned
	unowned bool             // some task has no owner in next

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change of the fields below
	id       string        // member id of the broker, set by the first assignment
	now      topic.Assignment
	returned topic.Assignment // the last one that Next returned
	// held contains the tasks of the last two assignments that Next returned: the worker runs the
	// old ones until it calls Next again.
	held map[topic.Partition]bool // the tasks that the worker may be running
	err  error                    // why the membership has ended
	open *memberTxn               // the open transaction, if any
}

const leaveTimeout = 3 * time.Second

// errLeft reports a member that was closed.
var errLeft = errors.New("the member has left its group")

// Next implements topic.Member.
func (m *member) Next(ctx context.Context) (topic.Assignment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// By calling Next, the worker confirms that it runs the tasks of the last assignment and no
	// others. This releases revoked tasks, and assigned may be waiting for it.
	m.held = map[topic.Partition]bool{}
	for _, t := range m.returned.Tasks {
		m.held[t] = true
	}
	m.wake()
	for m.err == nil && (m.id == "" || sameAssignment(m.now, m.returned)) {
		if err := m.wait(ctx, nil); err != nil {
			return topic.Assignment{}, err
		}
	}
	if m.err != nil {
		return topic.Assignment{}, m.err
	}
	// From here on, the worker may run the new tasks, too.
	m.returned = m.now
	for _, t := range m.returned.Tasks {
		m.held[t] = true
	}
	return m.returned, nil
}

// sameAssignment compares assignments without their epochs: a new epoch alone is not reported.
func sameAssignment(a, b topic.Assignment) bool {
	return b.Owners != nil && slices.Equal(a.Tasks, b.Tasks) && slices.Equal(a.Standbys, b.Standbys) &&
		maps.Equal(a.Owners, b.Owners)
}

// wake notifies all waiting goroutines of a change. The lock is held.
func (m *member) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait releases the lock until something changes and acquires it again.
// The channel is taken before the lock is released, so that no change is missed. The caller checks
// its condition again.
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

// assigned is kgo's OnPartitionsAssigned: the member is in sync with its group. If the
// assignment revokes tasks that the worker may be running, it waits until the worker has
// released them, while kgo continues to send heartbeats. It then joins again without them.
func (m *member) assigned(_ context.Context, cl *kgo.Client, _ map[string][]int32) {
	id, _ := cl.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.id == ""
	m.id, m.now = id, m.next
	m.wake()
	// While this callback waits, kgo starts no new join. No other member can therefore be assigned
	// a task that is still running here.
	taken := m.takenAway()
	if taken {
		late := time.NewTimer(m.b.c.RebalanceTimeout)
		defer late.Stop()
		for m.err == nil && m.takenAway() {
			if m.wait(context.Background(), late.C) != nil {
				m.lose(
					fmt.Errorf(
						"revoked tasks were not released within the rebalance timeout of %s",
						m.b.c.RebalanceTimeout,
					),
				)
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

// lookAgain forces a rebalance if a task still has no owner after the session timeout. The
// member that should have released the task and joined again was lost in between, and no other
// member would trigger the rebalance.
// The timer is not stopped when the member closes: its function then finds m.err set and does
// nothing.
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

// takenAway reports whether the worker may be running a task that it no longer owns. The lock
// is held.
func (m *member) takenAway() bool {
	for t := range m.held {
		if !slices.Contains(m.now.Tasks, t) {
			return true
		}
	}
	return false
}

// stale reports whether a returning static member (KIP-345) received the assignment of its
// former process. The broker returns that without involving the leader, although the member's
// tasks or address may have changed, and its released tasks may have no owner.
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

// claim returns the user data of the subscription. If the broker no longer knows this member, kgo
// joins as a new one; other members may have had the tasks meanwhile, so the membership is
// lost.
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
		m.lose(errors.New("the broker no longer knows the member"))
		return c
	}
	c.owned = m.now.Tasks
	return c
}

// OnGroupManageError is kgo's hook for the end of a membership: an expired session, a fence or
// a refusal.
func (m *member) OnGroupManageError(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose(err)
}

// lose ends the membership. kgo would join again by itself, but the worker must first continue
// from its last commit. The lock is held.
func (m *member) lose(cause error) {
	if m.err != nil {
		return
	}
	m.err = fmt.Errorf(
		"the membership in group %q is lost: %w: %w",
		m.name,
		topic.ErrLost,
		m.b.explain(cause, "stay in it"),
	)
	// Cancels the writes in progress. A transaction that is open is not ended here: its owner
	// aborts it, or the next Join fences it.
	m.lost(m.err)
	m.wake()
	m.startLeaving()
}

// startLeaving makes kgo leave the group and stop joining, in the background: kgo's call takes
// no context.
func (m *member) startLeaving() {
	var noWaiting context.Context
	_ = m.cl.LeaveGroupContext(noWaiting)
}

// Close implements topic.Member. A member that is not durable leaves the group at once, so that
// the others do not wait for its session to expire.
// It ends the waiting calls first, then leaves the group while the client still works, and closes
// the client last. A second call waits until the first has returned.
func (m *member) Close() error {
	m.once.Do(func() {
		m.forget()
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

// end sets the final error and wakes all waiting goroutines.
// It does not make kgo leave the group, unlike lose: Close does that itself, and a closed broker
// has no connection.
func (m *member) end(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = why
		m.lost(why)
	}
	m.wake()
}

// leave sends the LeaveGroup request itself. kgo's method would wait for a join in progress,
// which can take the rebalance timeout.
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
	_, _ = req.RequestWith(ctx, m.cl) // an error has no remedy, and the session expires by itself
}
