package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Committed implements topic.Member. It retries until ctx ends or the membership is lost: an
// undecided transaction of any member is decided within its timeout.
func (m *member) Committed(
	ctx context.Context,
	partitions ...topic.Partition,
) (map[topic.Partition]topic.Offset, error) {
	out := map[topic.Partition]topic.Offset{}
	if len(partitions) == 0 {
		return out, nil
	}
	for n := 0; ; n++ {
		err := m.positions(ctx, partitions, out)
		if err == nil {
			return out, nil
		}
		m.mu.Lock()
		lost := m.err
		m.mu.Unlock()
		var answer *kerr.Error
		if again := errors.As(err, &answer) && answer.Retriable || kgo.IsRetryableBrokerErr(err); lost != nil ||
			!again {
			return nil, errors.Join(lost, m.b.explain(err, fmt.Sprintf("read the positions of group %q", m.name)))
		}
		if sleep(ctx, pause(n)) != nil {
			return nil, fmt.Errorf(
				"kafka: the positions of group %q are not decided yet: %w: %w: %w",
				m.name,
				topic.ErrNotYet,
				ctx.Err(),
				err,
			)
		}
	}
}

// positions sends one OffsetFetch request that requires stable offsets.
func (m *member) positions(
	ctx context.Context,
	partitions []topic.Partition,
	out map[topic.Partition]topic.Offset,
) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = m.name
	for name, ids := range byTopic(partitions) {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = name, ids
		g.Topics = append(g.Topics, t)
	}
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				at := topic.Partition{Topic: t.Topic, ID: p.Partition}
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("%s: %w", at, err)
				}
				if p.Offset >= 0 {
					out[at] = topic.Offset(p.Offset)
				}
			}
		}
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// byTopic groups partitions by topic.
func byTopic(partitions []topic.Partition) map[string][]int32 {
	out := map[string][]int32{}
	for _, p := range partitions {
		out[p.Topic] = append(out[p.Topic], p.ID)
	}
	return out
}

// move sends the positions of a transaction. If the coordinator refuses because the group is
// between two generations, nothing has moved, and the positions are sent again in the next
// generation: the member is still in the group, and its tasks move only after it releases them.
// This does not repeat a request whose outcome is unknown. A member that has lost its
// membership is refused for good, as unknown or fenced.
func (t *memberTxn) move(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if t.ctx != nil {
		// t.ctx ends when the transaction exceeds its timeout or the membership is lost.
		defer context.AfterFunc(t.ctx, stop)()
	}
	if !t.m.group.AtLeastOnce && !t.m.txn2 {
		if err := t.addOffsets(ctx); err != nil {
			return err
		}
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		// Read again for each try, because a rebalance changes the generation.
		id, generation, err := t.m.membership()
		if err != nil {
			return err
		}
		if t.m.group.AtLeastOnce {
			err = t.m.sendPlain(ctx, id, generation, read)
		} else {
			err = t.m.send(ctx, id, generation, read)
		}
		switch {
		case errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.RebalanceInProgress):
		case errors.Is(err, kerr.ConcurrentTransactions), errors.Is(err, kerr.CoordinatorLoadInProgress):
		default:
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("the positions were not accepted in time: %w", err)
		}
	}
}

// addOffsets announces to the coordinator that positions will follow, which is required before
// transaction.version 2.
func (t *memberTxn) addOffsets(ctx context.Context) error {
	pid, epoch, err := t.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = t.m.transactionalID(), pid, epoch, t.m.name
	return t.m.b.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, t.cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// transactionalID returns the id by which processes of this instance fence each other.
func (m *member) transactionalID() string {
	return m.b.c.Name + "." + m.b.c.Instance + "." + m.group.Name
}

// instanceID returns the static member id, nil if the member is not durable.
func (m *member) instanceID() *string {
	if !m.b.c.Durable {
		return nil
	}
	return kmsg.StringPtr(m.b.c.Instance + "." + m.group.Name)
}

// send adds the positions to the transaction.
func (m *member) send(ctx context.Context, id string, generation int32, read map[topic.Partition]topic.Offset) error {
	pid, epoch, err := m.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = m.transactionalID(), m.name, pid, epoch
	req.MemberID, req.Generation, req.InstanceID = id, generation, m.instanceID()
	for name, ids := range byTopic(partitionsOf(read)) {
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic = name
		for _, p := range ids {
			at := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			at.Partition, at.Offset, at.LeaderEpoch = p, int64(read[topic.Partition{Topic: name, ID: p}]), -1
			t.Partitions = append(t.Partitions, at)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := notTaken(t.Topic, p.Partition, p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendPlain commits the positions at once, without a transaction.
func (m *member) sendPlain(
	ctx context.Context,
	id string,
	generation int32,
	read map[topic.Partition]topic.Offset,
) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = m.name, id, generation, m.instanceID()
	for name, ids := range byTopic(partitionsOf(read)) {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = name
		for _, p := range ids {
			at := kmsg.NewOffsetCommitRequestTopicPartition()
			at.Partition, at.Offset, at.LeaderEpoch = p, int64(read[topic.Partition{Topic: name, ID: p}]), -1
			t.Partitions = append(t.Partitions, at)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := notTaken(t.Topic, p.Partition, p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// notTaken converts a partition's error code to an error.
func notTaken(name string, id int32, code int16) error {
	if err := kerr.ErrorForCode(code); err != nil {
		return fmt.Errorf("the position of %s was refused: %w", topic.Partition{Topic: name, ID: id}, err)
	}
	return nil
}
