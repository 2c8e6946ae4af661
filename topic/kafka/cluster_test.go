package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is the cluster of a test: kfake in this process, or the real broker that
// STREAMQL_TEST_KAFKA names. Topic names are unique per test.
type cluster struct {
	*Broker
	t       testing.TB
	fake    *kfake.Cluster // nil: a real one
	brokers []string
}

const realKafka = "STREAMQL_TEST_KAFKA"

// newCluster returns the cluster with a Broker on it. change may be nil.
func newCluster(t testing.TB, change func(*Config), opts ...kfake.Opt) *cluster {
	t.Helper()
	c := &cluster{t: t}
	if at := os.Getenv(realKafka); at != "" && len(opts) == 0 {
		c.brokers = []string{at}
	} else {
		c.fake = newFake(t, opts...)
		c.brokers = c.fake.ListenAddrs()
	}
	c.Broker = c.open(change)
	return c
}

func newFake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return fake
}

// needFake is newCluster for tests that depend on kfake.
func needFake(t testing.TB, change func(*Config), opts ...kfake.Opt) *cluster {
	t.Helper()
	return newCluster(t, change, append(opts, kfake.NumBrokers(3))...)
}

func (c *cluster) open(change func(*Config)) *Broker {
	c.t.Helper()
	config := Config{Brokers: c.brokers, RetryTimeout: 20 * time.Second}
	if change != nil {
		change(&config)
	}
	b, err := Open(c.t.Context(), config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { b.Close() })
	return b
}

// topic creates a topic and returns its name.
func (c *cluster) topic(partitions int32, compact bool) string {
	c.t.Helper()
	name := fmt.Sprintf("t-%s-%08x", clean(c.t.Name()), rand.Uint32())
	if err := c.Create(c.t.Context(), name, topic.Config{Partitions: partitions, RetentionMs: -1, Compact: compact}); err != nil {
		c.t.Fatal(err)
	}
	return name
}

func clean(name string) string {
	b := []byte(name)
	for i := range b {
		if !(b[i] >= 'a' && b[i] <= 'z' || b[i] >= 'A' && b[i] <= 'Z' || b[i] >= '0' && b[i] <= '9') {
			b[i] = '-'
		}
	}
	return string(b)
}

// producer returns a client that writes to the partitions that records name.
func (c *cluster) producer(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(
		c.options(
			append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)}, opts...)...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// write produces the values from..to-1 to one partition in one flush.
func write(t testing.TB, cl *kgo.Client, p topic.Partition, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(
			records,
			&kgo.Record{Topic: p.Topic, Partition: p.ID, Key: fmt.Append(nil, "k", i%7), Value: fmt.Append(nil, i),
				Timestamp: time.UnixMilli(int64(1000 * i))},
		)
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// transaction writes the values from..to-1 and commits or aborts.
func transaction(t testing.TB, cl *kgo.Client, p topic.Partition, from, to int, how kgo.TransactionEndTry) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	write(t, cl, p, from, to)
	if err := cl.EndTransaction(t.Context(), how); err != nil {
		t.Fatal(err)
	}
}

func whole(p topic.Partition, to topic.Offset) topic.Span { return topic.Span{Partition: p, To: to} }

// spans returns all partitions of a topic up to their present ends.
func (c *cluster) spans(name string) []topic.Span {
	c.t.Helper()
	d, err := c.Describe(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return d.Partitions
}

// row is a copy of one row of a fetch.
type row struct {
	p       topic.Partition
	offset  topic.Offset
	time    int64
	key     string
	value   string
	headers string
}

func text(b []byte) string {
	if b == nil {
		return "NULL"
	}
	return fmt.Sprintf("%q", b)
}

func rowsOf(f *topic.Fetch) (out []row) {
	for i := range f.Rows() {
		r := row{
			p:      f.Partition,
			offset: f.Offsets[i],
			time:   f.Times[i],
			key:    text(f.Key.At(i)),
			value:  text(f.Value.At(i)),
		}
		if f.Headers != nil {
			for _, h := range f.Headers[i] {
				r.headers += h.Key + "=" + text(h.Value) + ";"
			}
		}
		out = append(out, r)
	}
	return out
}

// follow checks that fetches are contiguous, and collects their rows.
type follow struct {
	t    testing.TB
	at   map[topic.Partition]topic.Offset
	rows []row
	poll int // maximum number of rows per fetch
}

func newFollow(t testing.TB, spans []topic.Span) *follow {
	f := &follow{t: t, at: map[topic.Partition]topic.Offset{}, poll: 4096}
	for _, s := range spans {
		f.at[s.Partition] = s.From
	}
	return f
}

func (f *follow) take(fetches []topic.Fetch) {
	f.t.Helper()
	for i := range fetches {
		x := &fetches[i]
		if x.From != f.at[x.Partition] || x.Next <= x.From {
			f.t.Fatalf("%s: a fetch of [%d, %d) at %d", x.Partition, x.From, x.Next, f.at[x.Partition])
		}
		if x.Rows() > f.poll {
			f.t.Fatalf("%d rows in one fetch", x.Rows())
		}
		for _, o := range x.Offsets {
			if o < x.From || o >= x.Next {
				f.t.Fatalf("%s: offset %d in a fetch of [%d, %d)", x.Partition, o, x.From, x.Next)
			}
		}
		f.at[x.Partition] = x.Next
		f.rows = append(f.rows, rowsOf(x)...)
	}
}

// read reads spans to their end and checks that they are covered without a gap.
func (c *cluster) read(b *Broker, spans []topic.Span) []row {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	r, err := b.Open(ctx, spans)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Close()
	f := newFollow(c.t, spans)
	f.poll = b.c.PollRecords
	for {
		fetches, err := r.Poll(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.t.Fatalf("%v (at %v)", err, f.at)
		}
		f.take(fetches)
	}
	for _, s := range spans {
		if f.at[s.Partition] != s.To {
			c.t.Fatalf("%s: read to %d, not %d", s.Partition, f.at[s.Partition], s.To)
		}
	}
	return f.rows
}

// values returns the rows' values, those of a partition in order.
func values(rows []row) (out []string) {
	for _, r := range rows {
		out = append(out, r.value)
	}
	return out
}

func numbers(pairs ...int) (out []string) {
	for i := 0; i < len(pairs); i += 2 {
		for n := pairs[i]; n < pairs[i+1]; n++ {
			out = append(out, fmt.Sprintf("%q", fmt.Sprint(n)))
		}
	}
	return out
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %d values %.200v, want %d %.200v", len(got), got, len(want), want)
	}
}

func (c *cluster) setConfig(name, key, value string) {
	c.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
	one := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	one.Name, one.Value = key, &value
	r.Configs = append(r.Configs, one)
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(c.t.Context(), c.cl)
	if err == nil {
		err = refusal(resp.Resources[0].ErrorCode, resp.Resources[0].ErrorMessage)
	}
	for deadline := time.Now().Add(10 * time.Second); err == nil; {
		// a real cluster responds before all brokers know the topic
		got, derr := kadm.NewClient(c.cl).DescribeTopicConfigs(c.t.Context(), name)
		if err = derr; err != nil {
			break
		}
		i := slices.IndexFunc(
			got[0].Configs,
			func(x kadm.Config) bool { return x.Key == key && x.MaybeValue() == value },
		)
		if i >= 0 {
			break
		}
		if time.Now().After(deadline) {
			err = fmt.Errorf("%s of %s is not %s after 10 s", key, name, value)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}
