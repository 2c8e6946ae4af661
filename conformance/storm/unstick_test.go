//go:build synctests

package storm

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// barrier is an unfinished rebalance of a group.
type barrier struct{ began time.Time }

// unstick works around rebalances that do not end in kfake. kfake counts the members that have joined. The
// count stays one too small if a static member is replaced, or its session ends, while it waits for the
// response to its SyncGroup. Then only the rebalance timeout ends the rebalance, and in kfake every JoinGroup
// restarts that timeout, while Kafka counts it from the beginning. Therefore, when a rebalance exceeds the
// timeout, unstick delays joins until kfake's timeout has expired.
func (w *world) unstick(req kmsg.Request) kmsg.Response {
	switch r := req.(type) {
	case *kmsg.SyncGroupRequest:
		delete(w.barriers, r.Group)
	case *kmsg.JoinGroupRequest:
		b, ok := w.barriers[r.Group]
		if !ok {
			w.barriers[r.Group] = &barrier{time.Now()}
			return nil
		}
		switch since := time.Since(b.began); {
		case since > 2*w.rebalance+10*time.Second:
			b.began = time.Now()
		case since > w.rebalance+5*time.Second:
			resp := r.ResponseKind().(*kmsg.JoinGroupResponse)
			resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
			return resp
		}
	}
	return nil
}

// met records a sign of life of a member. w.mu is held.
func (w *world) met(req kmsg.Request) {
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		w.members[r.MemberID] = time.Now()
		w.names[r.Group] = true
	case *kmsg.SyncGroupRequest:
		w.members[r.MemberID] = time.Now()
	case *kmsg.HeartbeatRequest:
		w.members[r.MemberID] = time.Now()
	}
}

// expire ends expired sessions. kfake forgets the session of a member whose connection breaks before the
// response to a JoinGroup or SyncGroup. Such a member would own its tasks forever.
func (w *world) expire() {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.fake.ListenAddrs()...), kgo.Dialer(w.fair.dial),
		kgo.RetryTimeout(5*time.Second))
	if err != nil {
		panic(err)
	}
	defer cl.Close()
	for {
		select {
		case <-time.After(5 * time.Second):
		case <-w.ended:
			return
		}
		w.mu.Lock()
		names := slices.Sorted(maps.Keys(w.names))
		w.mu.Unlock()
		for _, name := range names {
			g := w.fake.GroupInfo(name)
			if g == nil || g.State != "Stable" && g.State != "CompletingRebalance" {
				continue
			}
			for _, m := range g.Members {
				w.mu.Lock()
				seen, ok := w.members[m.MemberID]
				if !ok {
					seen = time.Now()
					w.members[m.MemberID] = seen
				}
				w.mu.Unlock()
				if time.Since(seen) > w.session+2*time.Second {
					w.leave(cl, name, m)
				}
			}
		}
	}
}

func (w *world) leave(cl *kgo.Client, group string, m kfake.GroupMember) {
	w.note("the session of %s (%s) in %s ends", m.MemberID, m.ClientID, group)
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, m.MemberID
	who := kmsg.NewLeaveGroupRequestMember()
	who.MemberID, who.InstanceID = m.MemberID, m.InstanceID
	req.Members = append(req.Members, who)
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	_, _ = req.RequestWith(ctx, cl) // otherwise the next call retries
}
