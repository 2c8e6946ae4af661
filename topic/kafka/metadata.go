package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicID is the id of one incarnation of a topic; zero before Kafka 2.8.
type topicID [16]byte

// String returns the id in the notation of Kafka's tools.
func (id topicID) String() string {
	if id == (topicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// layout is a topic's metadata.
type layout struct {
	name       string
	id         topicID
	err        error // of this topic alone
	internal   bool
	partitions []leadership // by number
}

// leadership is the leader of a partition and its epoch; leader -1: none at present.
type leadership struct{ leader, epoch int32 }

// settled reports whether every partition has a leader.
func (l *layout) settled() bool {
	for _, p := range l.partitions {
		if p.leader < 0 {
			return false
		}
	}
	return l.err == nil && len(l.partitions) > 0
}

// requestor is a client, or one broker of it.
type requestor interface {
	Request(context.Context, kmsg.Request) (kmsg.Response, error)
}

// layouts requests the metadata of the named topics, of all topics if none is named. An error
// of one topic is in its layout.
func layouts(ctx context.Context, to requestor, names ...string) ([]layout, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, n := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(n)
		req.Topics = append(req.Topics, t)
	}
	resp, err := to.Request(ctx, req)
	if err != nil {
		return nil, err
	}
	var out []layout
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if t.Topic == nil {
			continue
		}
		l := layout{name: *t.Topic, id: t.TopicID, err: kerr.ErrorForCode(t.ErrorCode), internal: t.IsInternal}
		l.partitions = make([]leadership, len(t.Partitions))
		for i := range l.partitions {
			l.partitions[i].leader = -1
		}
		for _, p := range t.Partitions {
			if p.Partition < 0 || int(p.Partition) >= len(l.partitions) {
				return nil, fmt.Errorf(
					"topic %q: metadata has partition %d of %d",
					l.name,
					p.Partition,
					len(l.partitions),
				)
			}
			l.partitions[p.Partition] = leadership{p.Leader, p.LeaderEpoch}
		}
		out = append(out, l)
	}
	return out, nil
}

// layout returns one topic; ErrUnknownTopic, wrapped, if it does not exist. A node may not know
// a new topic yet. If a node reports an unknown topic, all others are queried, and if any of
// them knows it, layout retries.
func (b *Broker) layout(ctx context.Context, name string) (l layout, err error) {
	err = b.retry(ctx, func() error {
		found, err := layouts(ctx, b.cl, name)
		switch {
		case err != nil:
			return err
		case len(found) != 1:
			return fmt.Errorf("metadata of topic %q has %d topics", name, len(found))
		}
		l = found[0]
		if errors.Is(l.err, kerr.UnknownTopicOrPartition) && b.knownElsewhere(ctx, name) {
			return fmt.Errorf(
				"topic %q: a broker does not know it yet: %w: %w",
				name,
				topic.ErrNotYet,
				kerr.LeaderNotAvailable,
			)
		}
		return l.err
	})
	if errors.Is(err, kerr.InvalidTopicException) {
		err = topic.ErrUnknownTopic
	}
	return l, b.about(err, name, "describe")
}

// knownElsewhere reports whether any responding node knows a topic. All nodes are queried at
// once, because some may be down.
func (b *Broker) knownElsewhere(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var known atomic.Bool
	var wg sync.WaitGroup
	for _, node := range b.cl.DiscoveredBrokers() {
		wg.Go(func() {
			found, err := layouts(ctx, node, name)
			if err == nil && len(found) == 1 && !errors.Is(found[0].err, kerr.UnknownTopicOrPartition) {
				known.Store(true)
				cancel()
			}
		})
	}
	wg.Wait()
	return known.Load()
}

// about adds the topic's name to an error.
func (b *Broker) about(err error, name, attempt string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, topic.ErrUnknownTopic):
		return fmt.Errorf("topic %q: %w", name, topic.ErrUnknownTopic)
	}
	return b.explain(err, fmt.Sprintf("%s topic %q", attempt, name))
}

const (
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// pause returns the delay before retry n+1.
func pause(n int) time.Duration { return min(minPause<<min(n, 6), maxPause) }

// retry calls do until it succeeds, fails for good, or RetryTimeout has passed. It retries
// responses that report a temporary condition; the client library has already retried broken
// connections.
func (b *Broker) retry(ctx context.Context, do func() error) error {
	begin := time.Now()
	for n := 0; ; n++ {
		err := do()
		var answer *kerr.Error
		if err == nil || !errors.As(err, &answer) || !answer.Retriable ||
			errors.Is(err, kerr.UnknownTopicOrPartition) ||
			time.Since(begin) > b.c.RetryTimeout {
			return err
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return err
		}
	}
}

// sleep waits for d, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The reserved timestamps of an offset lookup.
const (
	latest   int64 = -1 // the high watermark
	earliest int64 = -2
	// The beginning of the local part of a partition with remote storage (KIP-405). Clusters
	// without remote storage treat it as a time before all others.
	earliestLocal int64 = -4
)

// offsets looks up one offset per partition: the earliest, the latest, or the first whose
// timestamp is >= at; -1: none.
func (b *Broker) offsets(
	ctx context.Context,
	at int64,
	partitions ...topic.Partition,
) (map[topic.Partition]topic.Offset, error) {
	out := make(map[topic.Partition]topic.Offset, len(partitions))
	err := b.retry(ctx, func() error {
		req := kmsg.NewPtrListOffsetsRequest() // read_uncommitted: the latest offset is the high watermark
		index := map[string]int{}
		for _, p := range partitions {
			if _, have := out[p]; have {
				continue
			}
			i, ok := index[p.Topic]
			if !ok {
				i = len(req.Topics)
				index[p.Topic] = i
				t := kmsg.NewListOffsetsRequestTopic()
				t.Topic = p.Topic
				req.Topics = append(req.Topics, t)
			}
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = p.ID, at
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, one)
		}
		if len(req.Topics) == 0 {
			return nil
		}
		resp, err := req.RequestWith(ctx, b.cl)
		if err != nil {
			return err
		}
		var failed error
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					failed = fmt.Errorf("%s[%d]: %w", t.Topic, p.Partition, err)
					continue
				}
				out[topic.Partition{Topic: t.Topic, ID: p.Partition}] = topic.Offset(p.Offset)
			}
		}
		if failed == nil && len(out) < len(partitions) {
			failed = fmt.Errorf(
				"the response omits %d partitions: %w",
				len(partitions)-len(out),
				kerr.RequestTimedOut,
			)
		}
		return failed
	})
	return out, err
}
