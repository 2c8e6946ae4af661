package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Join implements topic.Broker. The group id is <Config.Name>.<Group.Name>, the transactional
// id <Config.Name>.<Config.Instance>.<Group.Name>. Before Join returns, an earlier process with
// the same Instance is fenced, and its open transaction is aborted. The topics of the tasks
// must exist.
//
// A worker must call Next within Config.RebalanceTimeout after Next has revoked a task, and
// must end each transaction within Config.TransactionTimeout after its first record. Close does
// not end an open transaction: call Abort first, otherwise it blocks readers until its timeout.
func (b *Broker) Join(ctx context.Context, g topic.Group) (topic.Member, error) {
	switch {
	case b.c.Name == "":
		return nil, errName
	case b.c.Instance == "":
		return nil, errors.New(
			"kafka: Config.Instance is empty; a member of a group needs it to fence earlier processes of the instance",
		)
	case len(g.Tasks) == 0:
		return nil, fmt.Errorf("kafka: group %q has no tasks, so there is no reason to join it", g.Name)
	}
	m := &member{
		b:       b,
		group:   g,
		name:    b.c.Name + "." + g.Name,
		ready:   make(chan struct{}),
		changed: make(chan struct{}),
	}
	m.topics = slices.Clone(g.Reads)
	for _, t := range g.Tasks {
		m.topics = append(m.topics, t.Topic)
	}
	slices.Sort(m.topics)
	m.topics = slices.Compact(m.topics)
	m.limits = limits{b: b, known: map[string]int{}}
	// ctx ends with Close or with the broker, work also when the membership is lost. Requests that
	// leave the group use ctx, because work has ended then.
	m.ctx, m.cancel = context.WithCancel(b.ctx)
	m.work, m.lost = context.WithCancelCause(m.ctx)
	m.forget = context.AfterFunc(b.ctx, func() { m.end(errClosed) })
	// Close is called for a member that has not started completely; it checks whether there is a
	// client.
	if err := m.start(ctx); err != nil {
		m.Close()
		return nil, b.explain(err, fmt.Sprintf("join group %q", m.name))
	}
	return m, nil
}

// start creates the client and fences earlier processes of this instance.
func (m *member) start(ctx context.Context) error {
	var err error
	if m.txn2, err = m.b.DefensiveTransactions(ctx); err != nil {
		return err
	}
	if m.cl, err = kgo.NewClient(m.limits.producing(m.options()...)...); err != nil {
		return err
	}
	// kgo may call claim from its own goroutine before NewClient has returned. claim waits for
	// ready, so that it finds m.cl.
	close(m.ready)
	if m.group.AtLeastOnce {
		return nil
	}
	// This request makes the coordinator abort the open transaction of the earlier process and
	// increment the producer's epoch. Until the abort is complete, Committed is refused and
	// retries.
	_, _, err = m.cl.ProducerID(ctx)
	return err
}

// options returns the client options of a member.
func (m *member) options() []kgo.Opt {
	c := &m.b.c
	none := func(context.Context, *kgo.Client, map[string][]int32) {}
	opts := []kgo.Opt{
		kgo.WithContext(m.ctx),
		kgo.MaxVersions(m.versions()),
		kgo.ConsumerGroup(m.name),
		kgo.ConsumeTopics(m.topics...),
		kgo.Balancers(&balancer{m}),
		kgo.SessionTimeout(c.SessionTimeout),
		kgo.HeartbeatInterval(c.Heartbeat),
		kgo.RebalanceTimeout(c.RebalanceTimeout),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(m.assigned),
		kgo.OnPartitionsRevoked(none), // kgo has no partitions, see balancer
		kgo.OnPartitionsLost(none),    // OnGroupManageError is called as well, with the cause
		kgo.WithHooks(m),
	}
	if c.Durable {
		opts = append(opts, kgo.InstanceID(c.Instance+"."+m.group.Name))
	}
	if !m.group.AtLeastOnce {
		opts = append(
			opts,
			kgo.TransactionalID(c.Name+"."+c.Instance+"."+m.group.Name),
			kgo.TransactionTimeout(c.TransactionTimeout),
		)
	}
	return opts
}

// versions returns the request versions to use. Positions are sent by topic name, because
// versions with topic ids would require the ids of all topics. If the cluster's
// transaction.version is below 2, request versions that require it are excluded; kgo does that
// only for its own requests.
func (m *member) versions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.OffsetCommit), 9)
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	if !m.txn2 {
		v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
		v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
		v.SetMaxKeyVersion(int16(kmsg.Produce), 11)
	}
	return v
}

// DefensiveTransactions reports whether the cluster's transaction.version is 2 (KIP-890). Below
// it, an EndTxn request that the network delayed can end a later transaction (KAFKA-17754).
func (b *Broker) DefensiveTransactions(ctx context.Context) (bool, error) {
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, b.cl)
	if err != nil {
		return false, err
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel >= 2, nil
		}
	}
	return false, nil
}
