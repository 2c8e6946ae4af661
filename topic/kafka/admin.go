package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Describe implements topic.Source. The ends are high watermarks, behind transactions that are not decided yet.
func (b *Broker) Describe(ctx context.Context, name string) (topic.Topic, error) {
	l, err := b.layout(ctx, name)
	if err != nil {
		return topic.Topic{}, err
	}
	out, err := b.describe(ctx, []layout{l}, every)
	if err != nil {
		return topic.Topic{}, b.about(err, name, "describe")
	}
	return out[0], nil
}

// DescribeOnly implements topic.Narrow.
func (b *Broker) DescribeOnly(ctx context.Context, name string, partitions ...int32) (topic.Topic, error) {
	l, err := b.layout(ctx, name)
	if err != nil {
		return topic.Topic{}, err
	}
	out, err := b.describe(ctx, []layout{l}, func(id int32) bool { return slices.Contains(partitions, id) })
	if err != nil {
		return topic.Topic{}, b.about(err, name, "describe")
	}
	return out[0], nil
}

func every(int32) bool { return true }

// Topics implements topic.Admin: all topics that this user may describe, by name, without Kafka's internal ones.
func (b *Broker) Topics(ctx context.Context) ([]topic.Topic, error) {
	for tries := 0; ; tries++ {
		all, err := layouts(ctx, b.cl)
		if err != nil {
			return nil, b.explain(err, "list the topics")
		}
		all = slices.DeleteFunc(all, func(l layout) bool { return l.internal || strings.HasPrefix(l.name, "__") || l.err != nil })
		slices.SortFunc(all, func(x, y layout) int { return strings.Compare(x.name, y.name) })
		out, err := b.describe(ctx, all, every)
		if errors.Is(err, kerr.UnknownTopicOrPartition) && tries < 5 {
			continue // one was deleted in between
		}
		return out, b.explain(err, "list the topics")
	}
}

// describe adds the offsets of the partitions that wanted names to layouts.
func (b *Broker) describe(ctx context.Context, all []layout, wanted func(id int32) bool) ([]topic.Topic, error) {
	var partitions []topic.Partition
	for _, l := range all {
		for i := range l.partitions {
			if wanted(int32(i)) {
				partitions = append(partitions, topic.Partition{Topic: l.name, ID: int32(i)})
			}
		}
	}
	from, err := b.offsets(ctx, earliest, partitions...)
	if err != nil {
		return nil, err
	}
	to, err := b.offsets(ctx, latest, partitions...)
	if err != nil {
		return nil, err
	}
	out := make([]topic.Topic, len(all))
	for i, l := range all {
		out[i] = topic.Topic{Name: l.name, ID: l.id.String()}
		for k := range l.partitions {
			p := topic.Partition{Topic: l.name, ID: int32(k)}
			out[i].Partitions = append(out[i].Partitions, topic.Span{Partition: p, From: from[p], To: max(to[p], from[p])})
		}
	}
	return out, nil
}

const (
	adminTimeout  = 15 * time.Second // of a controller's work
	existsTimeout = 5 * time.Second
	weekMs        = 7 * 24 * 3600 * 1000
)

// Create implements topic.Admin. It returns when every broker that answers knows the topic and its leaders, also when the topic was there. A compacted topic keeps
// tombstones for a week, so that a reader which was away that long still sees them.
func (b *Broker) Create(ctx context.Context, name string, c topic.Config) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, c.Partitions, b.c.Replication
	set := func(key, value string) {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: kmsg.StringPtr(value)})
	}
	set("retention.ms", strconv.FormatInt(c.RetentionMs, 10))
	if c.MaxMessage > 0 {
		set("max.message.bytes", strconv.Itoa(c.MaxMessage))
	}
	if c.Compact {
		set("cleanup.policy", "compact")
		set("delete.retention.ms", strconv.Itoa(weekMs))
	}
	req.Topics = append(req.Topics, t)
	err := b.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, b.cl)
		if err != nil {
			return err
		}
		if len(resp.Topics) != 1 {
			return fmt.Errorf("the answer names %d topics", len(resp.Topics))
		}
		return refusal(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage)
	})
	settled := func(l *layout) bool { return l.settled() }
	if errors.Is(err, kerr.TopicAlreadyExists) { // somebody may have made it this moment: the brokers must know it before the caller goes on
		soon, stop := context.WithTimeout(ctx, existsTimeout)
		defer stop()
		_ = b.spread(soon, name, "waiting for its leaders", settled)
		return fmt.Errorf("topic %q: %w", name, topic.ErrTopicExists)
	}
	if err != nil {
		return b.about(err, name, "create")
	}
	return b.spread(ctx, name, "waiting for its leaders", settled)
}

// Delete implements topic.Admin. It returns when no broker that answers knows the topic any more.
func (b *Broker) Delete(ctx context.Context, name string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = kmsg.StringPtr(name)
	req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name) // the one for Kafka 2.8 and newer, the other before
	err := b.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, b.cl)
		if err != nil {
			return err
		}
		if len(resp.Topics) != 1 {
			return fmt.Errorf("the answer names %d topics", len(resp.Topics))
		}
		return refusal(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage)
	})
	if err != nil {
		return b.about(err, name, "delete")
	}
	return b.spread(ctx, name, "waiting for its end", func(l *layout) bool { return errors.Is(l.err, kerr.UnknownTopicOrPartition) })
}

// refusal joins what a broker says about an error to its code.
func refusal(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%s: %w", *message, err)
	}
	return err
}

// spread waits until a change of a topic has come to all brokers that answer.
func (b *Broker) spread(ctx context.Context, name, what string, done func(*layout) bool) error {
	begin := time.Now()
	for n := 0; ; n++ {
		ready, answers := true, 0
		for _, node := range b.cl.DiscoveredBrokers() {
			one, cancel := context.WithTimeout(ctx, dialTimeout)
			found, err := layouts(one, node, name)
			cancel()
			if err != nil || len(found) != 1 {
				continue // it is away
			}
			answers++
			ready = ready && done(&found[0])
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case ready && answers > 0:
			return nil
		case time.Since(begin) > b.c.RetryTimeout:
			return fmt.Errorf("topic %q: the change was accepted, but %s took more than %s", name, what, b.c.RetryTimeout)
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return err
		}
	}
}

// OffsetAt implements topic.Timed. Kafka's own answer may be the mark of a transaction's end, which bears the time of its writing: where
// records bear older times (a history that was loaded), that is far before the first record of the time asked for. So records are read
// from there on until one bears it.
func (b *Broker) OffsetAt(ctx context.Context, p topic.Partition, ms int64) (topic.Offset, error) {
	ends, err := b.offsets(ctx, latest, p)
	if err != nil {
		return 0, b.about(err, p.Topic, "find offsets by time in")
	}
	at, err := b.offsets(ctx, max(ms, 0), p) // negative times are the protocol's own signs
	if err != nil {
		return 0, b.about(err, p.Topic, "find offsets by time in")
	}
	if at[p] < 0 || at[p] >= ends[p] {
		return ends[p], nil
	}
	first := ends[p]
	err = topic.Each(ctx, b, []topic.Span{{Partition: p, From: at[p], To: ends[p]}}, func(f *topic.Fetch, i int) error {
		if f.Times[i] < ms {
			return nil
		}
		first = f.Offsets[i]
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return 0, err
	}
	return first, nil
}

var errFound = errors.New("found")
