package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (c *cluster) config(name, key string) string {
	c.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name, []string{key}
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(c.t.Context(), c.cl)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, one := range resp.Resources[0].Configs {
		if one.Name == key && one.Value != nil {
			return *one.Value
		}
	}
	return ""
}

func TestAdmin(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	name := c.topic(3, true)
	for key, want := range map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "604800000", "retention.ms": "-1"} {
		if got := c.config(name, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	err := c.Create(ctx, name, topic.Config{Partitions: 1})
	if !errors.Is(err, topic.ErrTopicExists) || !strings.Contains(err.Error(), name) {
		t.Errorf("create again: %v", err)
	}
	if err := c.Create(ctx, name+"?", topic.Config{Partitions: 1}); err == nil && c.fake == nil {
		// kfake accepts any name
		t.Error("an impossible name was taken")
	}
	d, err := c.Describe(ctx, name)
	if err != nil || d.Name != name || d.ID == "" || len(d.Partitions) != 3 {
		t.Errorf("%+v, %v", d, err)
	}
	for id := range int32(3) {
		if err := c.producer().ProduceSync(ctx, &kgo.Record{Topic: name, Partition: id, Key: []byte("k"), Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	full, err := c.Describe(ctx, name)
	if only, failed := c.DescribeOnly(ctx, name, 2); err != nil || failed != nil || only.ID != d.ID || len(only.Partitions) != 3 ||
		only.Partitions[2] != full.Partitions[2] || only.Partitions[2].To != 1 || only.Partitions[0].To != 0 ||
		only.Partitions[0].ID != 0 {
		t.Errorf("%+v and %+v, %v, %v", full, only, err, failed)
	}
	all, err := c.Topics(ctx)
	if err != nil || !slices.ContainsFunc(all, func(x topic.Topic) bool { return x.Name == name && x.ID == d.ID }) {
		t.Errorf("%v, %v", all, err)
	}
	for range 3 { // the change has reached all brokers when Create and Delete return
		name := c.topic(1, false)
		if err := c.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Describe(ctx, name); !errors.Is(err, topic.ErrUnknownTopic) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("describe: %v", err)
		}
		if err := c.Delete(ctx, name); !errors.Is(err, topic.ErrUnknownTopic) {
			t.Errorf("delete: %v", err)
		}
		if _, err := c.Open(ctx, []topic.Span{whole(topic.Partition{Topic: name}, topic.End)}); !errors.Is(
			err,
			topic.ErrUnknownTopic,
		) {
			t.Errorf("open: %v", err)
		}
		if _, err := c.OffsetAt(ctx, topic.Partition{Topic: name}, 0); !errors.Is(err, topic.ErrUnknownTopic) {
			t.Errorf("offset at: %v", err)
		}
		if _, err := c.MaxMessage(ctx, name); !errors.Is(err, topic.ErrUnknownTopic) {
			t.Errorf("max message: %v", err)
		}
	}
	if id, err := c.ClusterID(ctx); err != nil || id == "" {
		t.Errorf("cluster id %q, %v", id, err)
	}
}

func TestOffsetAt(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	if at, err := c.OffsetAt(t.Context(), p, 5); at != 0 || err != nil {
		t.Errorf("empty: %d, %v", at, err)
	}
	cl := c.producer()
	for n := range 4 {
		write(t, cl, p, 10*n, 10*n+10) // record i has timestamp 1000 i
	}
	for ms, want := range map[int64]topic.Offset{-5: 0, 0: 0, 1: 1, 1000: 1, 17_500: 18, 39_000: 39, 39_001: 40, 1 << 50: 40} {
		if at, err := c.OffsetAt(t.Context(), p, ms); at != want || err != nil {
			t.Errorf("offset at %d: %d, %v; want %d", ms, at, err, want)
		}
	}
}

func TestSpansRefused(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	for _, spans := range [][]topic.Span{
		{whole(p, 1), whole(p, 2)}, {{Partition: p, From: -1, To: 2}}, {{Partition: p, From: 3, To: 2}},
		{whole(topic.Partition{Topic: p.Topic, ID: 1}, 1)}, {whole(topic.Partition{Topic: p.Topic, ID: -1}, 1)},
	} {
		if _, err := c.Open(t.Context(), spans); err == nil || !strings.Contains(err.Error(), p.Topic) {
			t.Errorf("%v: %v", spans, err)
		}
	}
	if got := c.read(c.Broker, []topic.Span{whole(p, 0)}); len(got) != 0 {
		t.Error(got)
	}
}

func TestTopicsWhileDeleting(t *testing.T) {
	c := newCluster(t, nil)
	done := make(chan error)
	var names []string
	for range 10 {
		names = append(names, c.topic(1, false))
	}
	go func() {
		for _, n := range names {
			if err := c.Delete(t.Context(), n); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		if _, err := c.Topics(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

// TestMaxMessageForbidden: a topic may allow more than the client's default batch; the limit is
// read again after a minute, and reported exactly.
func TestMaxMessageForbidden(t *testing.T) {
	c := needFake(t, nil)
	name := c.topic(1, false)
	c.fake.ControlKey(32, func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		one := kmsg.NewDescribeConfigsResponseResource()
		one.ErrorCode, one.ResourceType, one.ResourceName = 29, kmsg.ConfigResourceTypeTopic, name
		resp.Resources = append(resp.Resources, one)
		return resp, nil, true
	})
	if n, err := c.MaxMessage(t.Context(), name); err != nil || n != defaultMessage {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestMoreOptions(t *testing.T) {
	c := newCluster(t, nil)
	cl, err := kgo.NewClient(c.options(kgo.ClientID("other"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if got := fmt.Sprint(cl.OptValue(kgo.RetryTimeout)); got == "" {
		t.Error("no retry timeout")
	}
	if got := cl.OptValue(kgo.ClientID); got != "other" {
		t.Errorf("client id %v", got)
	}
	if err := cl.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
