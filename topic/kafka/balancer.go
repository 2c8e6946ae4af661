package kafka

import (
	"maps"
	"slices"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocolName is the name of the assignor that brokers show.
const protocolName = "streamql"

// balancer connects a member with kgo's group protocol.
//
// kgo must not learn which partitions the member owns: it would look up their offsets and fetch
// them, which this package does itself. The real assignment goes to the member, and kgo
// receives an empty one. For the same reason the claims come from the member, and the member
// requests the second join of a cooperative rebalance (Client.ForceRebalance).
type balancer struct{ m *member }

// ProtocolName implements kgo.GroupBalancer.
func (b *balancer) ProtocolName() string { return protocolName }

// IsCooperative implements kgo.GroupBalancer.
func (b *balancer) IsCooperative() bool { return true }

// JoinGroupMetadata implements kgo.GroupBalancer. The subscription does not depend on the
// topics that kgo has found so far, because the positions of topics without a subscriber expire
// (KIP-496).
func (b *balancer) JoinGroupMetadata([]string, map[string][]int32, int32) []byte {
	c := b.m.claim()
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 1
	meta.Topics = b.m.topics
	meta.UserData = c.encode()
	return meta.AppendTo(nil)
}

// ParseSyncAssignment implements kgo.GroupBalancer.
func (b *balancer) ParseSyncAssignment(data []byte) (map[string][]int32, error) {
	// assigned publishes next. Until then the worker sees the assignment of the generation before.
	b.m.next = topic.Assignment{Owners: map[topic.Partition]string{}}
	b.m.unowned = true
	if len(data) == 0 {
		return nil, nil // the leader assigned nothing to this member
	}
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(data); err != nil {
		return nil, err
	}
	v, err := decodeVerdict(a.UserData)
	if err != nil {
		return nil, err
	}
	b.m.next = topic.Assignment{Epoch: v.epoch, Standbys: v.standbys, Owners: v.owners}
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			b.m.next.Tasks = append(b.m.next.Tasks, topic.Partition{Topic: t.Topic, ID: p})
		}
	}
	slices.SortFunc(b.m.next.Tasks, topic.Compare)
	b.m.unowned = v.free
	return nil, nil
}

// MemberBalancer implements kgo.GroupBalancer. It requests no topic metadata: the members list
// their tasks themselves.
func (b *balancer) MemberBalancer(
	members []kmsg.JoinGroupResponseMember,
) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	return &round{members: members}, nil, nil
}

// round is one rebalance on the leader.
type round struct {
	members    []kmsg.JoinGroupResponseMember
	generation int32
}

// SetBalanceInfo implements kgo.GroupMemberBalancerInfo.
func (r *round) SetBalanceInfo(i kgo.BalanceInfo) { r.generation = i.Generation }

// Balance implements kgo.GroupMemberBalancer.
func (r *round) Balance(map[string]int32) kgo.IntoSyncAssignment { return r }

// IntoSyncAssignment implements kgo.IntoSyncAssignment. A member with undecodable user data
// claims nothing and lists no task, so it is assigned nothing.
func (r *round) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment {
	claims := make([]claim, len(r.members))
	epoch := int64(r.generation)
	for i, m := range r.members {
		var meta kmsg.ConsumerMemberMetadata
		if err := meta.ReadFrom(m.ProtocolMetadata); err == nil {
			claims[i], _ = decodeClaim(meta.UserData)
		}
		claims[i].id = m.MemberID
		epoch = max(epoch, claims[i].epoch+1) // a group that the broker no longer knows starts at 1 again
	}
	shares := balance(claims)
	all, owners := map[topic.Partition]bool{}, map[topic.Partition]string{}
	for i, s := range shares {
		for _, t := range claims[i].tasks {
			all[t] = true
		}
		for _, t := range s.tasks {
			owners[t] = claims[i].address
		}
	}
	out := make([]kmsg.SyncGroupRequestGroupAssignment, len(shares))
	for i, s := range shares {
		v := verdict{epoch: epoch, standbys: s.standbys, owners: owners, free: len(owners) < len(all)}
		out[i] = kmsg.NewSyncGroupRequestGroupAssignment()
		out[i].MemberID = claims[i].id
		out[i].MemberAssignment = encodeAssignment(s.tasks, v.encode())
	}
	return out
}

// encodeAssignment uses the encoding of consumers, so that Kafka's tools show the assignment.
func encodeAssignment(tasks []topic.Partition, data []byte) []byte {
	byTopic := map[string][]int32{}
	for _, t := range tasks {
		byTopic[t.Topic] = append(byTopic[t.Topic], t.ID)
	}
	a := kmsg.NewConsumerMemberAssignment()
	for _, name := range slices.Sorted(maps.Keys(byTopic)) {
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic, t.Partitions = name, byTopic[name]
		a.Topics = append(a.Topics, t)
	}
	a.UserData = data
	return a.AppendTo(nil)
}
