package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// site is the environment of tests of members and transactions: kfake, or the broker of
// STREAMQL_TEST_KAFKA. Its name is unique per test.
type site struct {
	t    testing.TB
	name string
	fake *kfake.Cluster // nil: a real broker
	at   []string
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	probe *Broker
}

func newSite(t testing.TB) *site {
	if at := os.Getenv("STREAMQL_TEST_KAFKA"); at != "" {
		return &site{
			t:    t,
			name: fmt.Sprintf("test%08x", rand.Uint32()),
			at:   []string{at},
			dial: new(net.Dialer).DialContext,
		}
	}
	return newFakeSite(t)
}

// newFakeSite is for tests that depend on kfake.
func newFakeSite(t testing.TB, opts ...kfake.Opt) *site {
	t.Helper()
	fake, err := kfake.NewCluster(
		append([]kfake.Opt{kfake.NumBrokers(2), kfake.GroupMinSessionTimeout(time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return &site{t: t, name: "test", fake: fake, at: fake.ListenAddrs(), dial: new(net.Dialer).DialContext}
}

// open starts a process of the application.
func (s *site) open(instance string, change ...func(*Config)) (*Broker, *cord) {
	s.t.Helper()
	line := &cord{dial: s.dial}
	c := Config{
		Brokers: s.at, Name: s.name, Instance: instance, Dial: line.connect, RetryTimeout: 10 * time.Second,
		SessionTimeout: 2 * time.Second, Heartbeat: 200 * time.Millisecond, RebalanceTimeout: 10 * time.Second, TransactionTimeout: 5 * time.Second,
	}
	for _, f := range change {
		f(&c)
	}
	b, err := Open(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { b.Close() })
	return b, line
}

// topic creates a topic with settings k, v, k, v ...
func (s *site) topic(b *Broker, name string, partitions int32, settings ...string) string {
	s.t.Helper()
	name = s.name + "-" + name
	configs := map[string]*string{"retention.ms": kadm.StringPtr("-1")} // the records have timestamps of 1970
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	if _, err := kadm.NewClient(b.cl).CreateTopic(s.t.Context(), partitions, 1, configs, name); err != nil {
		s.t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // a broker applies a creation shortly after the controller
		if _, err := b.Describe(s.t.Context(), name); err == nil {
			return name
		} else if time.Since(begun) > 10*time.Second {
			s.t.Fatal(err)
		}
	}
}

// committed returns the records that a read_committed consumer sees now. It stops when none has
// arrived for a while.
func (s *site) committed(name string) []*kgo.Record {
	s.t.Helper()
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(s.at...),
		kgo.Dialer(s.dial),
		kgo.ConsumeTopics(name),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond),
	)
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	var out []*kgo.Record
	for quiet := 0; quiet < 3; quiet++ {
		ctx, stop := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
		records := cl.PollFetches(ctx).Records()
		stop()
		if out = append(out, records...); len(records) > 0 {
			quiet = 0
		}
	}
	return out
}

// values reads a topic to its end with the broker's own reader, which waits for open
// transactions.
func (s *site) values(name string) []string {
	s.t.Helper()
	if s.probe == nil {
		s.probe, _ = s.open("probe")
	}
	out, err := readAll(s.t.Context(), s.probe, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func readAll(ctx context.Context, b *Broker, name string) ([]string, error) {
	out := []string{}
	d, err := b.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	err = topic.Each(ctx, b, d.Partitions, func(f *topic.Fetch, i int) error {
		out = append(out, string(f.Value.At(i)))
		return nil
	})
	return out, err
}

func lines(values ...string) []topic.Record {
	var out []topic.Record
	for i, v := range values {
		out = append(out, topic.Record{Key: []byte(strconv.Itoa(i)), Value: []byte(v), Time: 1000 + int64(i)})
	}
	return out
}

// cord is a process's network connection, which a test can cut.
type cord struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	mu    sync.Mutex
	gone  bool
	deaf  bool // requests arrive, responses are lost
	conns map[net.Conn]bool
}

var errCut = errors.New("the network is cut")

func (c *cord) connect(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.deaf {
		return nil, errCut
	}
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, c: c}
	if c.conns == nil {
		c.conns = map[net.Conn]bool{}
	}
	c.conns[w] = true
	return w, nil
}

// cut closes all connections and refuses new ones until mend.
func (c *cord) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for conn := range c.conns {
		conn.(*wire).Conn.Close()
		delete(c.conns, conn)
	}
}

func (c *cord) deafen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

func (c *cord) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone, c.deaf = false, false
}

type wire struct {
	net.Conn
	c *cord
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.c.mu.Lock()
	deaf := w.c.deaf
	w.c.mu.Unlock()
	if deaf {
		w.Conn.Close()
		return 0, errCut
	}
	return n, err
}

func (w *wire) Close() error {
	w.c.mu.Lock()
	delete(w.c.conns, w)
	w.c.mu.Unlock()
	return w.Conn.Close()
}
