package kafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/streamql/streamql/topic"
)

var _ topic.Sizer = (*Broker)(nil)

// Sizes implements topic.Sizer: metadata finds the partitions, and each broker is asked once for what it has of them. The right to describe
// the cluster is needed: topic.ErrRefused, wrapped, without it.
func (b *Broker) Sizes(ctx context.Context, topics ...string) (map[string]int64, error) {
	out := map[string]int64{}
	if len(topics) == 0 {
		return out, nil
	}
	found, err := layouts(ctx, b.cl, topics...)
	if err != nil {
		return nil, b.explain(err, "list the topics")
	}
	req := kmsg.NewPtrDescribeLogDirsRequest()
	for _, l := range found {
		if l.err != nil || len(l.partitions) == 0 {
			continue
		}
		t := kmsg.NewDescribeLogDirsRequestTopic()
		t.Topic = l.name
		for i := range l.partitions {
			t.Partitions = append(t.Partitions, int32(i))
		}
		req.Topics = append(req.Topics, t)
	}
	if len(req.Topics) == 0 { // a request without topics asks for all
		return out, nil
	}
	for _, shard := range b.cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, b.explain(shard.Err, "ask for the sizes of topics")
		}
		if err := sizesOf(shard.Resp.(*kmsg.DescribeLogDirsResponse), out); err != nil {
			return nil, b.explain(err, "ask for the sizes of topics")
		}
	}
	return out, nil
}

// sizesOf adds what one broker says. A broker that grants no right answers with a code, before version 3 with no directories.
func sizesOf(resp *kmsg.DescribeLogDirsResponse, out map[string]int64) error {
	err := kerr.ErrorForCode(resp.ErrorCode)
	for _, dir := range resp.Dirs {
		err = errors.Join(err, kerr.ErrorForCode(dir.ErrorCode))
		for _, t := range dir.Topics {
			for _, p := range t.Partitions {
				out[t.Topic] += p.Size
			}
		}
	}
	return err
}
