package kafka

import (
	"maps"
	"slices"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocolName is what brokers show as the group's assignor.
const protocolName = "streamql"

// balancer is a member's voice in its group, as kgo asks for it.
//
// kgo is never told which partitions the member has: it would look up their offsets and fetch them, and both are ours. So the assignment
// goes to the member, and kgo sees an empty one. It follows that the claims come from the member too, and that the second join of a
// cooperative move is asked for by the member (Client.ForceRebalance).
type balancer struct{ m *member }

// ProtocolName implements kgo.GroupBalancer.
func (b *balancer) ProtocolName() string { return protocolName }

// IsCooperative implements kgo.GroupBalancer.
func (b *balancer) IsCooperative() bool { return true }

// JoinGroupMetadata implements kgo.GroupBalancer. The subscription is the same whatever topics kgo has found so far: positions of topics
// that no member subscribes to would expire (KIP-496).
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
	b.m.next = topic.Assignment{Owners: map[topic.Partition]string{}}
	b.m.unowned = true
	if len(data) == 0 {
		return nil, nil // a leader that gave this member nothing
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

// MemberBalancer implements kgo.GroupBalancer. Nothing is wanted to know about any topic: the members bring their tasks.
func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	return &round{members: members}, nil, nil
}

// round is one balancing, at the leader.
type round struct {
	members    []kmsg.JoinGroupResponseMember
	generation int32
}

// SetBalanceInfo implements kgo.GroupMemberBalancerInfo.
func (r *round) SetBalanceInfo(i kgo.BalanceInfo) { r.generation = i.Generation }

// Balance implements kgo.GroupMemberBalancer.
func (r *round) Balance(map[string]int32) kgo.IntoSyncAssignment { return r }

// IntoSyncAssignment implements kgo.IntoSyncAssignment. A member whose data cannot be read gets nothing: it claims nothing and lists
// no task.
func (r *round) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment {
	claims := make([]claim, len(r.members))
	epoch := int64(r.generation)
	for i, m := range r.members {
		var meta kmsg.ConsumerMemberMetadata
		if err := meta.ReadFrom(m.ProtocolMetadata); err == nil {
			claims[i], _ = decodeClaim(meta.UserData)
		}
		claims[i].id = m.MemberID
		epoch = max(epoch, claims[i].epoch+1) // a group that was forgotten begins to count anew
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

// encodeAssignment is in the form of consumers, so that tools show who has what.
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
