package kafka

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// tasks returns n tasks in changelogs of up to five partitions.
func tasks(n int) []topic.Partition {
	var out []topic.Partition
	for i := range n {
		out = append(out, topic.Partition{Topic: fmt.Sprintf("changelog-%d", i/5), ID: int32(i % 5)})
	}
	return out
}

// society is a group without Kafka: the claims of the members and the tasks assigned to them.
type society struct {
	t       *rapid.T
	members map[string]*claim
	epoch   int64
}

func (s *society) ids() []string { return slices.Sorted(maps.Keys(s.members)) }

// generation runs one rebalance through the wire forms, checks the invariants, and returns the
// number of tasks that changed their owner.
func (s *society) generation() {
	r := &round{generation: int32(s.epoch)}
	for _, id := range s.ids() {
		meta := kmsg.NewConsumerMemberMetadata()
		meta.UserData = s.members[id].encode()
		r.members = append(
			r.members,
			kmsg.JoinGroupResponseMember{MemberID: id, ProtocolMetadata: meta.AppendTo(nil)},
		)
	}
	claimed := map[topic.Partition]string{}
	for id, m := range s.members {
		for _, t := range m.owned {
			claimed[t] = id
		}
	}
	owner := map[topic.Partition]string{}
	for _, a := range r.IntoSyncAssignment() {
		b := &balancer{&member{}}
		if _, err := b.ParseSyncAssignment(a.MemberAssignment); err != nil {
			s.t.Fatal(err)
		}
		got, m := b.m.next, s.members[a.MemberID]
		if got.Epoch <= s.epoch && len(r.members) > 0 && got.Epoch <= m.epoch {
			s.t.Fatalf("epoch %d after %d", got.Epoch, m.epoch)
		}
		for _, t := range got.Tasks {
			if o, ok := owner[t]; ok {
				s.t.Fatalf("%s is given to %s and %s", t, o, a.MemberID)
			}
			if by, ok := claimed[t]; ok && by != a.MemberID {
				s.t.Fatalf("%s is given to %s while %s has it", t, a.MemberID, by)
			}
			if !slices.Contains(m.tasks, t) {
				s.t.Fatalf("%s is given to %s, which cannot run it", t, a.MemberID)
			}
			owner[t] = a.MemberID
			if got.Owners[t] != m.address {
				s.t.Fatalf("the owner of %s is reported to be at %q, not %q", t, got.Owners[t], m.address)
			}
		}
		for _, t := range got.Standbys {
			if slices.Contains(got.Tasks, t) || !slices.Contains(m.tasks, t) {
				s.t.Fatalf("%s keeps a copy of %s", a.MemberID, t)
			}
		}
		m.owned, m.epoch = got.Tasks, got.Epoch
		m.warm = map[topic.Partition]topic.Offset{}
		for i, t := range append(slices.Clone(got.Standbys), got.Tasks...) {
			m.warm[t] = topic.Offset(i)
		}
	}
	s.epoch++
}

func (s *society) loads() (low, high, sum int) {
	low = 1 << 30
	for _, m := range s.members {
		low, high, sum = min(low, len(m.owned)), max(high, len(m.owned)), sum+len(m.owned)
	}
	return low, high, sum
}

func (s *society) owners() map[topic.Partition]string {
	out := map[topic.Partition]string{}
	for id, m := range s.members {
		for _, t := range m.owned {
			out[t] = id
		}
	}
	return out
}

// TestBalanceConverges: members join and leave. Two generations later the counts are even, and
// no more tasks have moved than necessary.
func TestBalanceConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &society{t: t, members: map[string]*claim{}}
		all := tasks(rapid.IntRange(1, 40).Draw(t, "tasks"))
		standbys := rapid.IntRange(0, 2).Draw(t, "standbys")
		born := 0
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			before := s.owners()
			for range rapid.IntRange(0, 2).Draw(t, "leave") {
				if len(s.members) > 0 {
					delete(s.members, rapid.SampledFrom(s.ids()).Draw(t, "who"))
				}
			}
			for range rapid.IntRange(0, 2).Draw(t, "join") {
				born++ // no member returns with an old id
				id := fmt.Sprintf("m%d-%d", rapid.IntRange(0, 99).Draw(t, "id"), born)
				s.members[id] = &claim{address: id + ":1", tasks: all, standbys: standbys}
			}
			if len(s.members) == 0 {
				continue
			}
			s.generation()
			if rapid.Bool().Draw(t, "hasty") {
				continue // the next change happens before the second generation
			}
			s.generation()
			low, high, sum := s.loads()
			if sum != len(all) || high-low > 1 {
				t.Fatalf("%d tasks at %d members: %d owned, %d to %d each", len(all), len(s.members), sum, low, high)
			}
			moved, least := 0, s.least(before, len(all))
			for task, now := range s.owners() {
				if was, ok := before[task]; ok && s.members[was] != nil && was != now {
					moved++
				}
			}
			if moved > least {
				t.Fatalf("%d tasks moved from living members, %d had to", moved, least)
			}
			again := s.owners()
			s.generation()
			if !maps.Equal(again, s.owners()) {
				t.Fatal("a generation without a change moved something")
			}
		}
	})
}

// least returns how many tasks living members must release so that n tasks are distributed
// evenly.
func (s *society) least(before map[topic.Partition]string, n int) int {
	have := map[string]int{}
	for _, m := range before {
		have[m]++
	}
	var counts []int
	for id := range s.members {
		counts = append(counts, have[id])
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	moves := 0
	for i, c := range counts {
		quota := n / len(counts)
		if i < n%len(counts) {
			quota++
		}
		moves += max(c-quota, 0)
	}
	return moves
}

// TestBalanceDifferentLists: some members have a newer catalog. Tasks are assigned only to
// members that list them, and every listed task has an owner after a few generations.
func TestBalanceDifferentLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &society{t: t, members: map[string]*claim{}}
		all := tasks(rapid.IntRange(1, 20).Draw(t, "tasks"))
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			for range rapid.IntRange(1, 3).Draw(t, "changes") {
				id := fmt.Sprintf("m%d", rapid.IntRange(0, 5).Draw(t, "id"))
				list := all[rapid.IntRange(0, len(all)-1).Draw(t, "from"):]
				if m := s.members[id]; m != nil {
					m.tasks = list
					continue
				}
				s.members[id] = &claim{tasks: list, standbys: 1}
			}
			for range 4 {
				s.generation()
			}
			listed := map[topic.Partition]bool{}
			for _, m := range s.members {
				for _, task := range m.tasks {
					listed[task] = true
				}
			}
			if _, _, sum := s.loads(); sum != len(listed) {
				t.Fatalf("%d of %d tasks have an owner", sum, len(listed))
			}
		}
	})
}

// TestBalanceWarm: if an owner is lost, the member with the furthest copy becomes the owner;
// copies are distributed.
func TestBalanceWarm(t *testing.T) {
	all := tasks(4)
	members := []claim{
		{
			id:       "a",
			tasks:    all,
			standbys: 1,
			owned:    all[:1],
			warm:     map[topic.Partition]topic.Offset{all[2]: 10, all[3]: 90},
		},
		{
			id:       "b",
			tasks:    all,
			standbys: 1,
			owned:    all[1:2],
			warm:     map[topic.Partition]topic.Offset{all[2]: 80, all[3]: 20},
		},
	}
	got := balance(members)
	if want := []share{
		{tasks: []topic.Partition{all[0], all[3]}, standbys: []topic.Partition{all[1], all[2]}},
		{tasks: []topic.Partition{all[1], all[2]}, standbys: []topic.Partition{all[0], all[3]}},
	}; !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	// A third member will receive a task of which it has a copy. It retains the copy while it
	// waits.
	members[0].owned, members[1].owned = all[:2], all[2:]
	members = append(members, claim{id: "c", tasks: all, warm: map[topic.Partition]topic.Offset{all[1]: 5}})
	got = balance(members)
	if len(got[2].tasks) != 0 || !slices.Contains(got[2].standbys, all[1]) || slices.Contains(got[0].tasks, all[1]) {
		t.Fatalf("got %v", got)
	}
}

// TestBalanceStandbys: there are as many standbys as configured where enough members exist,
// distributed about evenly.
func TestBalanceStandbys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := tasks(rapid.IntRange(1, 40).Draw(t, "tasks"))
		wanted, n := rapid.IntRange(1, 3).Draw(t, "wanted"), rapid.IntRange(1, 8).Draw(t, "members")
		s := &society{t: t, members: map[string]*claim{}}
		for i := range n {
			s.members[fmt.Sprint("m", i)] = &claim{tasks: all, standbys: wanted}
		}
		s.generation()
		s.generation()
		copies, low, high := map[topic.Partition]int{}, 1<<30, 0
		for _, m := range s.members {
			k := 0
			for task := range m.warm {
				if !slices.Contains(m.owned, task) {
					copies[task]++
					k++
				}
			}
			low, high = min(low, k), max(high, k)
		}
		for _, task := range all {
			if copies[task] != min(wanted, n-1) {
				t.Fatalf("%s has %d copies, wanted %d at %d members", task, copies[task], wanted, n)
			}
		}
		if high-low > 2 {
			t.Fatalf("between %d and %d copies at a member", low, high)
		}
	})
}

// TestBalanceDoubleClaim: of two claims of one task, which only a fault can cause, neither is
// accepted; one member gets the task afterwards.
func TestBalanceDoubleClaim(t *testing.T) {
	all := tasks(2)
	got := balance([]claim{{id: "a", tasks: all, owned: all}, {id: "b", tasks: all, owned: all[:1]}})
	if slices.Contains(got[0].tasks, all[0]) || slices.Contains(got[1].tasks, all[0]) {
		t.Fatalf("got %v", got)
	}
}

// TestClaimForms: arbitrary data of other members causes no failure, and decoding returns the
// encoded value.
func TestClaimForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := tasks(rapid.IntRange(0, 12).Draw(t, "tasks"))
		c := claim{
			epoch:    rapid.Int64Range(0, 1<<61).Draw(t, "epoch"),
			address:  rapid.String().Draw(t, "address"),
			standbys: 2,
			tasks:    all,
		}
		if len(all) > 1 {
			c.owned, c.warm = all[:1], map[topic.Partition]topic.Offset{all[1]: 7}
		}
		good := c.encode()
		back, err := decodeClaim(good)
		if err != nil || !reflect.DeepEqual(back, c) && len(all) > 0 {
			t.Fatalf("%v: got %v, want %v", err, back, c)
		}
		bad := slices.Clone(good[:rapid.IntRange(0, len(good)).Draw(t, "cut")])
		for i := range bad {
			if rapid.IntRange(0, 9).Draw(t, "flip") == 0 {
				bad[i] = rapid.Byte().Draw(t, "byte")
			}
		}
		_, _ = decodeClaim(bad)
		_, _ = decodeVerdict(bad)
		_, _ = decodeVerdict(rapid.SliceOf(rapid.Byte()).Draw(t, "noise"))
		meta := kmsg.NewConsumerMemberMetadata()
		meta.UserData = bad
		ok := kmsg.NewConsumerMemberMetadata()
		ok.UserData = good
		r := &round{members: []kmsg.JoinGroupResponseMember{
			{
				MemberID:         "x",
				ProtocolMetadata: bad,
			}, {MemberID: "y", ProtocolMetadata: meta.AppendTo(nil)}, {MemberID: "z", ProtocolMetadata: ok.AppendTo(nil)},
		}}
		if n := len(r.IntoSyncAssignment()); n != 3 {
			t.Fatalf("%d assignments", n)
		}
	})
}
