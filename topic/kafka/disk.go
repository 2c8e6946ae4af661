package kafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/streamql/streamql/topic"
)

var _ topic.Sizer = (*Broker)(nil)

// Sizes implements topic.Sizer. Metadata lists the partitions, and each broker is queried once
// for its replicas. It requires the DESCRIBE operation on the cluster: topic.ErrRefused,
// wrapped, without it.
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
	if len(req.Topics) == 0 { // a request without topics selects all
		return out, nil
	}
	for _, shard := range b.cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, b.explain(shard.Err, "query the sizes of topics")
		}
		if err := sizesOf(shard.Resp.(*kmsg.DescribeLogDirsResponse), out); err != nil {
			return nil, b.explain(err, "query the sizes of topics")
		}
	}
	return out, nil
}

// sizesOf adds the sizes of the partitions on one broker. If the client is not authorized, the
// response has an error code. Before version 3 of the request it has no directories instead.
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
