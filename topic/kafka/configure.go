package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The topic settings that StreamQL sets.
const (
	keyRetention = "retention.ms"
	forEver      = "-1"
)

// desired returns the topic settings of a configuration, without those that are left to the
// broker.
func (b *Broker) desired(c topic.Config) []topic.Setting {
	if c.RetentionMs == 0 && !c.Compact {
		c.RetentionMs = b.c.RetentionMs
	}
	var out []topic.Setting
	set := func(key, value string) { out = append(out, topic.Setting{Key: key, Want: value}) }
	number := func(key string, n int64) {
		if n > 0 {
			set(key, strconv.FormatInt(n, 10))
		}
	}
	switch {
	case c.Compact && c.RetentionMs > 0:
		set("cleanup.policy", "compact,delete")
	case c.Compact:
		set("cleanup.policy", "compact")
	default:
		set("cleanup.policy", "delete")
	}
	if c.Compact {
		number("delete.retention.ms", weekMs)
	}
	if number(keyRetention, c.RetentionMs); c.RetentionMs < 0 {
		set(keyRetention, forEver)
	}
	number("max.message.bytes", int64(c.MaxMessage))
	number("segment.bytes", c.SegmentBytes)
	number("max.compaction.lag.ms", c.MaxCompactionLagMs)
	if c.AppendTime {
		set("message.timestamp.type", "LogAppendTime")
	}
	return out
}

// Differences implements topic.Configurer.
func (b *Broker) Differences(ctx context.Context, name string, c topic.Config) ([]topic.Setting, error) {
	want := b.desired(c)
	if c.RetentionMs == 0 && b.c.RetentionMs == 0 && !c.Compact {
		want = append(want, topic.Setting{Key: keyRetention})
	}
	keys := make([]string, len(want))
	for i, s := range want {
		keys[i] = s.Key
	}
	have, err := b.settings(ctx, name, keys)
	if err != nil {
		return nil, b.about(err, name, "describe")
	}
	var out []topic.Setting
	for _, s := range want {
		h := have[s.Key]
		s.Have = h.value
		if s.Want != s.Have && s.Want != "" || s.Want == "" && h.own && s.Have == forEver {
			out = append(out, s)
		}
	}
	return out, nil
}

// setting is a value of a topic's configuration; own: set on the topic, not inherited from the
// broker.
type setting struct {
	value string
	own   bool
}

// settings returns some keys of a topic's configuration.
func (b *Broker) settings(ctx context.Context, name string, keys []string) (map[string]setting, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name, keys
	req.Resources = append(req.Resources, r)
	out := map[string]setting{}
	err := b.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, b.cl)
		if err != nil {
			return err
		}
		for _, r := range resp.Resources {
			if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
			for _, c := range r.Configs {
				if c.Value != nil {
					out[c.Name] = setting{*c.Value, c.Source == kmsg.ConfigSourceDynamicTopicConfig}
				}
			}
		}
		return nil
	})
	return out, err
}

// Configure implements topic.Configurer.
func (b *Broker) Configure(ctx context.Context, name string, settings []topic.Setting) error {
	if len(settings) == 0 {
		return nil
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
	for _, s := range settings {
		one := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		one.Name, one.Op = s.Key, kmsg.IncrementalAlterConfigOpDelete
		if s.Want != "" {
			one.Op, one.Value = kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(s.Want)
		}
		r.Configs = append(r.Configs, one)
	}
	req.Resources = append(req.Resources, r)
	err := b.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, b.cl)
		if err != nil {
			return err
		}
		if len(resp.Resources) != 1 {
			return fmt.Errorf("the response names %d topics", len(resp.Resources))
		}
		return refusal(resp.Resources[0].ErrorCode, resp.Resources[0].ErrorMessage)
	})
	return b.about(err, name, "configure")
}

// Trim implements topic.Trimmer with Kafka's DeleteRecords. It requires the DELETE operation on
// the topics.
func (b *Broker) Trim(ctx context.Context, before map[topic.Partition]topic.Offset) error {
	if len(before) == 0 {
		return nil
	}
	rest := make(map[topic.Partition]topic.Offset, len(before))
	for p, at := range before {
		rest[p] = at
	}
	var last topic.Partition
	err := b.retry(ctx, func() error {
		resp, err := trimRequest(rest).RequestWith(ctx, b.cl)
		if err != nil {
			return err
		}
		var failed error
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				at := topic.Partition{Topic: t.Topic, ID: p.Partition}
				err := kerr.ErrorForCode(p.ErrorCode)
				if errors.Is(err, kerr.OffsetOutOfRange) {
					err = b.trimmed(ctx, at, rest[at], err)
				}
				if err != nil {
					last, failed = at, fmt.Errorf("partition %d, offset %d: %w", at.ID, rest[at], err)
					continue
				}
				delete(rest, at)
			}
		}
		return failed
	})
	return b.about(err, last.Topic, "trim")
}

// trimmed ignores a refusal if the partition already begins at or after the offset.
func (b *Broker) trimmed(ctx context.Context, p topic.Partition, before topic.Offset, refusal error) error {
	begin, err := b.offsets(ctx, earliest, p)
	if err == nil && before > begin[p] {
		err = refusal
	}
	return err
}

// trimRequest builds the DeleteRecords request.
func trimRequest(before map[topic.Partition]topic.Offset) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	for name, ids := range byTopic(partitionsOf(before)) {
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = name
		for _, id := range ids {
			one := kmsg.NewDeleteRecordsRequestTopicPartition()
			one.Partition, one.Offset = id, int64(before[topic.Partition{Topic: name, ID: id}])
			t.Partitions = append(t.Partitions, one)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

var (
	_ topic.Trimmer    = (*Broker)(nil)
	_ topic.Configurer = (*Broker)(nil)
)
