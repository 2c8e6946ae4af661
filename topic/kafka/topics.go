package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	adminTimeout  = 15 * time.Second // for the work of the controller
	existsTimeout = 5 * time.Second
	weekMs        = 7 * 24 * 3600 * 1000
)

// Create implements topic.Admin. It returns when every responding broker knows the topic and
// its leaders, even if the topic existed before. A compacted topic retains tombstones for a
// week, so that a reader that was down for that long still sees them. If a response was lost
// and the topic exists afterwards, it counts as created.
func (b *Broker) Create(ctx context.Context, name string, c topic.Config) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, c.Partitions, cmp.Or(c.Replicas, b.c.Replication)
	for _, s := range b.desired(c) {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: s.Key, Value: kmsg.StringPtr(s.Want)})
	}
	req.Topics = append(req.Topics, t)
	lost, err := b.command(ctx, func(to requestor) error {
		resp, err := to.Request(ctx, req)
		if err != nil {
			return err
		}
		topics := resp.(*kmsg.CreateTopicsResponse).Topics
		if len(topics) != 1 {
			return fmt.Errorf("the response names %d topics", len(topics))
		}
		return refusal(topics[0].ErrorCode, topics[0].ErrorMessage)
	})
	settled := func(l *layout) bool { return l.settled() }
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists) && lost:
	case errors.Is(err, kerr.TopicAlreadyExists):
		// another process may have created it just now: wait until the brokers know it
		soon, stop := context.WithTimeout(ctx, existsTimeout)
		defer stop()
		_ = b.spread(soon, name, "waiting for its leaders", settled)
		return fmt.Errorf("topic %q: %w", name, topic.ErrTopicExists)
	case err != nil:
		return b.about(err, name, "create")
	}
	return b.spread(ctx, name, "waiting for its leaders", settled)
}

// Delete implements topic.Admin. It returns when no responding broker knows the topic any more.
func (b *Broker) Delete(ctx context.Context, name string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = kmsg.StringPtr(name)
	// Topics is used by Kafka 2.8 and newer, TopicNames by older versions
	req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name)
	lost, err := b.command(ctx, func(to requestor) error {
		resp, err := to.Request(ctx, req)
		if err != nil {
			return err
		}
		topics := resp.(*kmsg.DeleteTopicsResponse).Topics
		if len(topics) != 1 {
			return fmt.Errorf("the response names %d topics", len(topics))
		}
		return refusal(topics[0].ErrorCode, topics[0].ErrorMessage)
	})
	if lost && errors.Is(err, kerr.UnknownTopicOrPartition) {
		err = nil
	}
	if err != nil {
		return b.about(err, name, "delete")
	}
	return b.spread(
		ctx,
		name,
		"waiting for its deletion",
		func(l *layout) bool { return errors.Is(l.err, kerr.UnknownTopicOrPartition) },
	)
}

// command executes a request of the controller, with retries while its responses report a
// temporary condition. lost: a response was missing, so an earlier try may have been executed.
// The client library would hide that; it is limited to one try per call.
func (b *Broker) command(ctx context.Context, do func(requestor) error) (lost bool, err error) {
	begin := time.Now()
	for n := 0; ; n++ {
		var to requestor
		if to, err = b.controller(ctx); err == nil {
			err = do(to)
			lost = lost || unanswered(err)
		}
		if err == nil || !temporary(err) || errors.Is(err, kerr.InvalidReplicationFactor) || ctx.Err() != nil ||
			time.Since(begin) > b.c.RetryTimeout {
			return lost, err
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return lost, err
		}
	}
}

// unanswered reports whether a request may have been executed although it returned this error.
func unanswered(err error) bool {
	var answer *kerr.Error
	var network *net.OpError
	switch {
	case err == nil, errors.As(err, &network) && network.Op == "dial":
		return false
	case errors.As(err, &answer):
		return errors.Is(err, kerr.RequestTimedOut)
	}
	return true
}

// controller returns the controller in metadata. In clusters without ZooKeeper it may be any
// node, which forwards the request.
func (b *Broker) controller(ctx context.Context) (requestor, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := req.RequestWith(ctx, b.cl)
	if err != nil {
		return nil, err
	}
	if resp.ControllerID < 0 {
		return nil, kerr.NotController
	}
	return b.cl.Broker(int(resp.ControllerID)), nil
}

// refusal combines an error code and the broker's message.
func refusal(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%s: %w", *message, err)
	}
	return err
}

// spread waits until all responding brokers know about a change of a topic.
func (b *Broker) spread(ctx context.Context, name, what string, done func(*layout) bool) error {
	begin := time.Now()
	for n := 0; ; n++ {
		ready, answers := true, 0
		for _, node := range b.cl.DiscoveredBrokers() {
			one, cancel := context.WithTimeout(ctx, dialTimeout)
			found, err := layouts(one, node, name)
			cancel()
			if err != nil || len(found) != 1 {
				continue // it is down
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
			return fmt.Errorf(
				"topic %q: the change was accepted, but %s took more than %s: %w",
				name,
				what,
				b.c.RetryTimeout,
				topic.ErrNotYet,
			)
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return err
		}
	}
}
