package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Broker is a Kafka cluster as a topic.Broker. It is safe for concurrent use. Its readers,
// members and transactions are not, except for their Close.
type Broker struct {
	c      Config
	cl     *kgo.Client // sends requests and fetches; it does not consume or produce
	ctx    context.Context
	cancel context.CancelFunc // ends all background work that Close must not wait for
	fetch  *fetcher
	sizes  sizes
	health health

	inflating sync.Mutex // large batches of all readers are decompressed one at a time
}

// The limits of a connection.
const (
	openTimeout = 5 * time.Second // for the first response of any broker
	// The client name and version that brokers log.
	software, softwareVersion = "streamql", "1"

	maxResponse = 300 << 20 // of one response, in bytes: more than maxBatch
)

// Open connects to a cluster and checks its version. It returns topic.ErrUnreachable, wrapped,
// with the hosts if none of them responds within five seconds. A refused login, and a cluster
// older than 2.5, have errors of their own.
func Open(ctx context.Context, c Config) (*Broker, error) {
	c = c.defaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &Broker{c: c, health: health{now: time.Now, sick: map[int32]trouble{}}}
	cl, err := kgo.NewClient(b.options()...)
	if err != nil {
		return nil, fmt.Errorf("kafka: invalid settings: %w", err)
	}
	b.cl = cl
	if err := b.greet(ctx); err != nil {
		cl.Close()
		return nil, err
	}
	// Last, because it starts a goroutine. After an error of Open no goroutine and no connection
	// remains.
	if b.fetch, err = newFetcher(b); err != nil {
		cl.Close()
		return nil, fmt.Errorf("kafka: invalid settings: %w", err)
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// Close closes the connections and ends background work. Waiting readers return an error.
func (b *Broker) Close() error {
	// The order is: first the members and transactions, whose contexts derive from b.ctx; then the senders, which
	// use b.cl; then b.cl.
	b.cancel()
	b.fetch.close()
	b.cl.Close()
	return nil
}

// ClusterID returns the id that the cluster generated at its creation.
func (b *Broker) ClusterID(ctx context.Context) (string, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := req.RequestWith(ctx, b.cl)
	if err != nil {
		return "", b.explain(err, "describe the cluster")
	}
	if resp.ClusterID == nil {
		return "", errors.New("kafka: the cluster has no id")
	}
	return *resp.ClusterID, nil
}

// defaults returns c with defaults for all unset fields.
func (c Config) defaults() Config {
	c.ClientID = cmp.Or(c.ClientID, "streamql")
	c.Replication = cmp.Or(c.Replication, -1)
	c.SessionTimeout = cmp.Or(c.SessionTimeout, 30*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, min(3*time.Second, c.SessionTimeout/8))
	c.RebalanceTimeout = cmp.Or(c.RebalanceTimeout, time.Minute)
	c.TransactionTimeout = cmp.Or(c.TransactionTimeout, 10*time.Second)
	c.RetryTimeout = cmp.Or(c.RetryTimeout, time.Minute)
	if c.PollRecords <= 0 {
		c.PollRecords = 4096
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// options returns the options of every client of this cluster, followed by more. Retries are
// limited by time, not by count.
func (b *Broker) options(more ...kgo.Opt) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(b.c.Brokers...),
		kgo.ClientID(b.c.ClientID),
		kgo.SoftwareNameAndVersion(software, softwareVersion),
		kgo.Dialer(b.c.dial),
		kgo.RetryTimeout(b.c.RetryTimeout),
		kgo.RequestRetries(1000),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.MetadataMaxAge(time.Minute),
		kgo.BrokerMaxReadBytes(maxResponse),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.MaxDecompressBatchBytes(batch.MaxDecoded),
		kgo.KeepRetryableFetchErrors(),
		kgo.StopProducerOnDataLossDetected(),
		kgo.DisableClientMetrics(),
		kgo.WithHooks(&b.health),
	}
	if m := b.c.SASL.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	opts = append(opts, b.c.Options...)
	return append(opts, more...)
}

// greet waits for the first broker that responds and checks its version.
func (b *Broker) greet(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	seeds := b.cl.SeedBrokers()
	// All brokers are contacted at once, so that an unreachable one does not delay the others.
	// answers has room for all responses, so that no goroutine waits after the first success has been
	// received.
	answers := make(chan error, len(seeds))
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range seeds {
		wg.Go(func() {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = software, softwareVersion
			resp, err := s.Request(limited, req)
			if err == nil {
				err = supported(resp.(*kmsg.ApiVersionsResponse))
			}
			answers <- err
		})
	}
	var errs []error
	for range seeds {
		err := <-answers
		if err == nil {
			cancel()
			return nil
		}
		errs = append(errs, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, err := range errs {
		if errors.Is(err, errTooOld) || refusedLogin(err) {
			return b.explain(err, "connect")
		}
	}
	hint := ""
	if b.c.SASL != nil && slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, io.EOF) }) {
		hint = ": the connection was closed during the login; check user, secret, SASL mechanism and whether TLS is expected"
	}
	return fmt.Errorf("kafka %s: %w%s: %w", strings.Join(b.c.Brokers, ","), topic.ErrUnreachable, hint, errs[0])
}

// errTooOld reports a broker without the transactions of KIP-447.
var errTooOld = errors.New(
	"the broker is older than Kafka 2.5, which introduced the transactions that StreamQL requires (KIP-447): upgrade the cluster",
)

// supported checks for the protocol version of Kafka 2.5: transactions that commit a group's
// positions with its generation.
func supported(v *kmsg.ApiVersionsResponse) error {
	offsetFetch, txnCommit := kmsg.NewPtrOffsetFetchRequest().Key(), kmsg.NewPtrTxnOffsetCommitRequest().Key()
	if err := kerr.ErrorForCode(v.ErrorCode); err != nil {
		return err
	}
	found := 0
	for _, k := range v.ApiKeys {
		if k.ApiKey == offsetFetch && k.MaxVersion >= 7 || k.ApiKey == txnCommit && k.MaxVersion >= 3 {
			found++
		}
	}
	if found < 2 {
		return errTooOld
	}
	return nil
}

var (
	_ topic.Source = (*Broker)(nil)
	_ topic.Admin  = (*Broker)(nil)
	_ topic.Timed  = (*Broker)(nil)
	_ topic.Narrow = (*Broker)(nil)
)
