//go:build synctests

package storm

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// barrier is a rebalance of a group that has begun and not ended.
type barrier struct{ began time.Time }

// unstick gets kfake out of rebalances that do not end. It counts who has joined, and counts one too few from then on when a member with
// a name of its own is replaced, or one's session ends, while it waits for the answer to its SyncGroup; then only the rebalance timeout
// ends the rebalance, and every JoinGroup starts that anew, while Kafka counts it from the beginning. So when a rebalance takes longer than
// it may, joins are put off until the timeout has come.
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
