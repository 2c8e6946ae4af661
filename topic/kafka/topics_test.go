package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deaf is a connection that loses the next response to a request of one kind: the request is
// executed, and the connection is closed.
type deaf struct {
	net.Conn
	to  *atomic.Int32 // the kind; -1: lose none
	now atomic.Bool
}

func (d *deaf) Write(b []byte) (int, error) {
	if len(b) > 6 && int32(binary.BigEndian.Uint16(b[4:])) == d.to.Load() {
		d.now.Store(true)
	}
	return d.Conn.Write(b)
}

func (d *deaf) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	if err == nil && d.now.Load() {
		d.to.Store(-1)
		d.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestLostAnswersOfTheController: a topic counts as created if it was created but the response
// was lost, and as existing if it existed before; deletion likewise.
func TestLostAnswersOfTheController(t *testing.T) {
	var to atomic.Int32
	to.Store(-1)
	c := newCluster(t, func(c *Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &deaf{Conn: conn, to: &to}, err
		}
	})
	ctx := t.Context()
	name := "t-lost-" + c.topic(1, false)
	to.Store(int32(kmsg.NewPtrCreateTopicsRequest().Key()))
	if err := c.Create(ctx, name, topic.Config{Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	if to.Load() != -1 {
		t.Fatal("no answer was lost")
	}
	if d, err := c.Describe(ctx, name); err != nil || len(d.Partitions) != 3 {
		t.Errorf("%v, %v", d, err)
	}
	if err := c.Create(ctx, name, topic.Config{Partitions: 3}); !errors.Is(err, topic.ErrTopicExists) ||
		topic.Passing(err) {
		t.Errorf("made again: %v", err)
	}
	to.Store(int32(kmsg.NewPtrDeleteTopicsRequest().Key()))
	if err := c.Delete(ctx, name); err != nil || to.Load() != -1 {
		t.Errorf("delete: %v", err)
	}
	if err := c.Delete(ctx, name); !errors.Is(err, topic.ErrUnknownTopic) || topic.Passing(err) {
		t.Errorf("deleted again: %v", err)
	}
}

// TestTopicThatOneNodeDoesNotKnowYet: a node that does not know a topic yet does not make it
// unknown, neither for metadata nor as a leader.
func TestTopicThatOneNodeDoesNotKnowYet(t *testing.T) {
	c := needFake(t, nil)
	name := c.topic(2, false)
	unknown := kerr.UnknownTopicOrPartition.Code
	asked := 0
	c.fake.ControlKey(kmsg.Metadata.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		m := req.(*kmsg.MetadataRequest)
		if len(m.Topics) != 1 || m.Topics[0].Topic == nil || *m.Topics[0].Topic != name {
			return nil, nil, false
		}
		if asked++; asked > 1 { // all others know it
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for i, at := range c.brokers {
			host, port, _ := net.SplitHostPort(at)
			n, _ := strconv.Atoi(port)
			broker := kmsg.NewMetadataResponseBroker()
			broker.NodeID, broker.Host, broker.Port = int32(i), host, int32(n)
			resp.Brokers = append(resp.Brokers, broker)
		}
		one := kmsg.NewMetadataResponseTopic()
		one.Topic, one.ErrorCode = &name, unknown
		resp.Topics = append(resp.Topics, one)
		return resp, nil, true
	})
	left := 2
	c.fake.ControlKey(kmsg.ListOffsets.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		if left--; left < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
			one := kmsg.NewListOffsetsResponseTopic()
			one.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewListOffsetsResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, unknown
				one.Partitions = append(one.Partitions, part)
			}
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, true
	})
	if d, err := c.Describe(t.Context(), name); err != nil || len(d.Partitions) != 2 {
		t.Errorf("%v, %v", d, err)
	}
	if asked < 2 || left >= 0 {
		t.Errorf("metadata was asked %d times, %d leaders too few", asked, left+1)
	}
	if _, err := c.Describe(t.Context(), name+"-not"); !errors.Is(err, topic.ErrUnknownTopic) || topic.Passing(err) {
		t.Errorf("a topic that nobody knows: %v", err)
	}
}

func TestClasses(t *testing.T) {
	b := &Broker{c: Config{Brokers: []string{"h:9092"}}}
	for _, e := range []error{kerr.InvalidReplicationFactor, kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.NotEnoughReplicas,
		kerr.NotEnoughReplicasAfterAppend, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.NotController,
		kerr.RequestTimedOut, kerr.ConcurrentTransactions, kerr.BrokerNotAvailable, kerr.ThrottlingQuotaExceeded, kerr.UnstableOffsetCommit} {
		if err := b.explain(e, "do it"); !topic.Passing(err) || !errors.Is(err, topic.ErrNotYet) ||
			!errors.Is(err, e) {
			t.Errorf("%v", err)
		}
	}
	for _, e := range []error{&net.OpError{Op: "dial", Err: errors.New("refused")}, io.EOF, context.DeadlineExceeded} {
		if err := b.explain(e, "do it"); !topic.Passing(err) || errors.Is(err, topic.ErrNotYet) {
			t.Errorf("%v", err)
		}
	}
	for _, e := range []error{kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, kerr.SaslAuthenticationFailed,
		kerr.InvalidConfig, kerr.PolicyViolation, kerr.InvalidPartitions, kerr.InvalidTopicException, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID,
		kerr.OffsetOutOfRange, kerr.InvalidProducerEpoch, context.Canceled, topic.ErrTopicReplaced} {
		if err := b.explain(e, "do it"); topic.Passing(err) {
			t.Errorf("%v", err)
		}
	}
	if topic.Passing(errors.Join(topic.ErrLost, topic.ErrUnreachable)) {
		t.Error("what may have been done passes")
	}
}

// TestClusterAway: every call reports an unreachable cluster as temporary.
func TestClusterAway(t *testing.T) {
	c := needFake(t, func(c *Config) { c.Name, c.Instance, c.RetryTimeout = "app", "1", 1 })
	name := c.topic(1, false)
	ctx := t.Context()
	c.fake.Close()
	p := topic.Partition{Topic: name}
	for what, call := range map[string]func() error{
		"Create":    func() error { return c.Create(ctx, name+"2", topic.Config{Partitions: 1}) },
		"Delete":    func() error { return c.Delete(ctx, name) },
		"Describe":  func() error { _, err := c.Describe(ctx, name); return err },
		"Topics":    func() error { _, err := c.Topics(ctx); return err },
		"ClusterID": func() error { _, err := c.ClusterID(ctx); return err },
		"Begin":     func() error { _, err := c.Begin(ctx, "x"); return err },
		"Join":      func() error { _, err := c.Join(ctx, topic.Group{Name: "g", Tasks: []topic.Partition{p}}); return err },
		"OffsetAt":  func() error { _, err := c.OffsetAt(ctx, p, 5); return err },
		"Open":      func() error { _, err := c.Open(ctx, []topic.Span{whole(p, 1)}); return err },
		"Trim":      func() error { return c.Trim(ctx, map[topic.Partition]topic.Offset{p: 0}) },
		"Owners":    func() error { _, err := c.Owners(ctx, "g"); return err },
		"Configure": func() error { return c.Configure(ctx, name, []topic.Setting{{Key: "retention.ms", Want: "1000"}}) },
	} {
		t.Run(what, func(t *testing.T) {
			if err := call(); !topic.Passing(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestConfigure: settings that are left to the broker are not set. The differences of an old
// topic are found, and there are none after they are applied.
func TestConfigure(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	changelog := topic.Config{Partitions: 1, Compact: true, SegmentBytes: 64 << 20, MaxCompactionLagMs: 600_000}
	exchange := topic.Config{Partitions: 1, RetentionMs: -1, SegmentBytes: 32 << 20}
	for _, one := range []struct {
		want topic.Config
		keys []string
	}{
		{changelog, []string{"cleanup.policy", "delete.retention.ms", "max.compaction.lag.ms", "segment.bytes"}},
		{exchange, []string{"segment.bytes"}},
		{topic.Config{Partitions: 1}, []string{"retention.ms"}},
		{topic.Config{Partitions: 1, RetentionMs: 5000, Compact: true}, []string{"cleanup.policy", "delete.retention.ms", "retention.ms"}},
		{topic.Config{Partitions: 1, RetentionMs: -1, AppendTime: true, MaxMessage: 2 << 20}, []string{"max.message.bytes", "message.timestamp.type"}},
	} {
		fresh := c.topic(1, false) + "-fresh"
		if err := c.Create(ctx, fresh, one.want); err != nil {
			t.Fatal(err)
		}
		if diff, err := c.Differences(ctx, fresh, one.want); err != nil || len(diff) != 0 {
			t.Errorf("made as %+v, it differs in %v, %v", one.want, diff, err)
		}
		old := c.topic(1, false) // unlimited retention
		diff, err := c.Differences(ctx, old, one.want)
		var keys []string
		for _, s := range diff {
			keys = append(keys, s.Key)
		}
		slices.Sort(keys)
		if err != nil || !slices.Equal(keys, one.keys) {
			t.Errorf("an old topic differs from %+v in %v, %v", one.want, diff, err)
		}
		if err := c.Configure(ctx, old, diff); err != nil {
			t.Error(err)
		}
		eventually(t, func() bool {
			diff, err = c.Differences(ctx, old, one.want)
			return err == nil && len(diff) == 0
		})
	}
	name := c.topic(1, false)
	if err := c.Configure(ctx, name, []topic.Setting{{Key: "retention.ms", Want: "soon"}}); err == nil &&
		c.fake == nil ||
		topic.Passing(err) {
		// kfake accepts any value
		t.Errorf("nonsense: %v", err)
	}
	if _, err := c.Differences(ctx, name+"-not", exchange); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("no topic: %v", err)
	}
}

// TestRetention: the configured retention applies to the topics that do not set one, and to no
// others.
func TestRetention(t *testing.T) {
	c := newCluster(t, func(c *Config) { c.RetentionMs = 123_000 })
	ctx := t.Context()
	for _, one := range []struct {
		made topic.Config
		want string
	}{
		{topic.Config{Partitions: 1}, "123000"},
		{topic.Config{Partitions: 1, AppendTime: true}, "123000"},
		{topic.Config{Partitions: 1, RetentionMs: 5000}, "5000"},
		{topic.Config{Partitions: 1, RetentionMs: -1}, "-1"},
		{topic.Config{Partitions: 1, Compact: true}, ""},
	} {
		name := c.topic(1, false) + "-kept"
		if err := c.Create(ctx, name, one.made); err != nil {
			t.Fatal(err)
		}
		have, err := c.settings(ctx, name, []string{keyRetention})
		got := have[keyRetention]
		if !got.own {
			got.value = ""
		}
		if err != nil || got.value != one.want {
			t.Errorf("%+v keeps its records for %q ms, not %q: %v", one.made, got.value, one.want, err)
		}
		if diff, err := c.Differences(ctx, name, one.made); err != nil || len(diff) != 0 {
			t.Errorf("made as %+v, it differs in %v, %v", one.made, diff, err)
		}
	}
}

func TestTrim(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	name := c.topic(2, false)
	zero, one := topic.Partition{Topic: name}, topic.Partition{Topic: name, ID: 1}
	cl := c.producer()
	write(t, cl, zero, 0, 20)
	write(t, cl, one, 0, 20)
	begins := func(want ...topic.Offset) {
		t.Helper()
		d, err := c.Describe(ctx, name)
		if err != nil || d.Partitions[0].From != want[0] || d.Partitions[1].From != want[1] {
			t.Fatalf("%v, %v; want %v", d, err, want)
		}
	}
	for _, step := range []struct{ at, begin topic.Offset }{{7, 7}, {3, 7}, {20, 20}} { // it never moves back
		if err := c.Trim(ctx, map[topic.Partition]topic.Offset{zero: step.at}); err != nil {
			t.Fatal(err)
		}
		begins(step.begin, 0)
	}
	if err := c.Trim(ctx, map[topic.Partition]topic.Offset{zero: 20, one: 11}); err != nil {
		t.Fatal(err)
	}
	begins(20, 11)
	if err := c.Trim(ctx, map[topic.Partition]topic.Offset{one: 21}); err == nil || topic.Passing(err) {
		t.Errorf("after the end: %v", err)
	}
	if err := c.Trim(ctx, map[topic.Partition]topic.Offset{{Topic: name + "-not"}: 1}); !errors.Is(
		err,
		topic.ErrUnknownTopic,
	) {
		t.Errorf("no topic: %v", err)
	}
	r, err := c.Open(ctx, []topic.Span{{Partition: one, From: 5, To: 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var gap topic.ErrGap
	if _, err := r.Poll(ctx); !errors.As(err, &gap) || gap.From != 5 || gap.To != 11 {
		t.Errorf("a reader of what is gone: %v", err)
	}
}

// eventually waits for a change that a real cluster's brokers learn about one after another.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for n := 0; !ok(); n++ {
		if n == 100 {
			t.Fatal("it does not come")
		}
		if sleep(t.Context(), pause(0)) != nil {
			t.Fatal("the test has ended")
		}
	}
}
