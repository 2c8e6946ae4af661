package kafka

import (
	"context"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var _ topic.Observer = (*Broker)(nil)

// Owners implements topic.Observer. It returns the last assignment of the group's leader. A
// group without members has no owners.
func (b *Broker) Owners(ctx context.Context, group string) (topic.Assignment, error) {
	name := b.c.Name + "." + group
	out := topic.Assignment{Owners: map[topic.Partition]string{}}
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{name}
	resp, err := req.RequestWith(ctx, b.cl)
	if err == nil && len(resp.Groups) != 1 {
		err = errNoAnswer
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	}
	if err == kerr.GroupIDNotFound {
		return out, nil
	}
	if err != nil {
		return out, b.explain(err, fmt.Sprintf("describe group %q", name))
	}
	// Between two generations, members may have verdicts of different epochs. The newest one
	// counts.
	for _, m := range resp.Groups[0].Members {
		var a kmsg.ConsumerMemberAssignment
		if len(m.MemberAssignment) == 0 || a.ReadFrom(m.MemberAssignment) != nil {
			continue
		}
		v, err := decodeVerdict(a.UserData)
		if err != nil || v.epoch < out.Epoch {
			continue
		}
		out.Epoch, out.Owners = v.epoch, v.owners
	}
	return out, nil
}
