package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxUnsent      = 64 << 20 // bytes of unacknowledged records, above which Write waits
	maxUnsentCount = 100_000
)

// limits holds the size limits of the topics that a client writes to. The client needs them as
// well, because it builds the batches.
type limits struct {
	b     *Broker
	mu    sync.Mutex
	known map[string]int
}

// of returns the size limit of a topic's batch in bytes.
func (l *limits) of(ctx context.Context, name string) (int, error) {
	l.mu.Lock()
	n, ok := l.known[name]
	l.mu.Unlock()
	if ok {
		return n, nil
	}
	// Without the lock, because it is a request. Two goroutines may both send it, and store the
	// same value.
	n, err := l.b.MaxMessage(ctx, name)
	if err != nil {
		return 0, err
	}
	n = min(max(n, 512), maxUnsent) // the range that kgo accepts
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[name] = n
	return n, nil
}

// batch returns a topic's limit without reading it, for kgo.
// kgo calls it while it builds a batch, so it must not block. Write has read the limit before it
// passed the first record.
func (l *limits) batch(name string) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.known[name]; ok {
		return int32(n)
	}
	return defaultMessage
}

// producing returns the options of a client that writes.
//
// Batches are compressed with snappy, kgo's own preference: it costs almost no CPU time on
// either side, and every broker supports it. zstd would save a third of the disk for several
// times the work. EndTxn is never retried. If a response was lost, the outcome is unknown, and
// a late request that arrives during the next transaction ends the wrong one (KAFKA-17754).
// RecordDeliveryTimeout is unusable because kgo measures it from the record's timestamp; the
// writer's context replaces it.
func (l *limits) producing(more ...kgo.Opt) []kgo.Opt {
	retry := l.b.c.RetryTimeout
	return l.b.options(append([]kgo.Opt{
		kgo.WithContext(l.b.ctx),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(l.batch),
		kgo.MaxBufferedBytes(2 * maxUnsent),
		kgo.MaxBufferedRecords(maxUnsentCount),
		kgo.RetryTimeoutFn(func(key int16) time.Duration {
			if key == int16(kmsg.EndTxn) {
				return 1
			}
			return retry
		}),
	}, more...)...)
}

// writer is the writing half of a transaction. mu guards the fields that kgo's callbacks
// change.
type writer struct {
	cl     *kgo.Client
	limits *limits
	ctx    context.Context // cancels unsent records when the transaction ends or times out
	stop   context.CancelFunc
	base   context.Context
	after  time.Duration // counted from the first record; 0: no limit

	// records and copies belong to the goroutine of the transaction.
	records int
	copies  copies
	mu      sync.Mutex
	// kgo calls acknowledged, on its own goroutine, until each record is acknowledged or refused.
	ends    map[topic.Partition]topic.Offset
	refused error // the error of the first record that was not accepted
}

// Ends implements topic.Placer. The ends are known for acknowledged records, so for all of them
// after Commit.
// The caller must not use the map while records are in flight, because it is not a copy.
func (w *writer) Ends() map[topic.Partition]topic.Offset {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends
}

// Write implements topic.Txn. It waits for the broker only if 64 MiB are in flight, and copies
// its arguments. Records that are too large are skipped and the others written; the error
// describes the first one.
func (w *writer) Write(p topic.Partition, records ...topic.Record) error {
	if err := w.failed(); err != nil {
		return err
	}
	w.arm()
	most, err := w.limits.of(w.ctx, p.Topic)
	if err != nil {
		return err
	}
	var tooLarge error
	for i := range records {
		if size := batchSize(&records[i]); size > most {
			if tooLarge == nil {
				tooLarge = fmt.Errorf(
					"%s: a record of %d bytes was skipped, because the topic's max.message.bytes is %d: %w",
					p,
					size,
					most,
					topic.ErrTooLarge,
				)
			}
			continue
		}
		w.records++
		w.cl.Produce(w.ctx, w.copies.record(p, &records[i]), w.acknowledged)
	}
	return tooLarge
}

// arm starts the transaction's timeout. The coordinator aborts the transaction at the same time
// after its first record.
func (w *writer) arm() {
	if w.ctx != nil {
		return
	}
	if w.after > 0 {
		w.ctx, w.stop = context.WithTimeoutCause(
			w.base,
			w.after,
			fmt.Errorf("the transaction exceeded its timeout of %s", w.after),
		)
		return
	}
	w.ctx, w.stop = context.WithCancel(w.base)
}

// release cancels the writer's context.
func (w *writer) release() {
	if w.stop != nil {
		w.stop()
	}
}

// failed returns the error of the first record that was not accepted.
func (w *writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// acknowledged is kgo's callback for each record.
func (w *writer) acknowledged(r *kgo.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := topic.Partition{Topic: r.Topic, ID: r.Partition}
	if err != nil {
		if w.refused == nil {
			if late := context.Cause(w.ctx); late != nil {
				err = late
			}
			if unauthorized(err) {
				err = w.limits.b.explain(err, fmt.Sprintf("write to topic %q", p.Topic))
			}
			w.refused = fmt.Errorf("a record for %s was not accepted: %w", p, err)
		}
		return
	}
	if w.ends == nil {
		w.ends = map[topic.Partition]topic.Offset{}
	}
	w.ends[p] = max(w.ends[p], topic.Offset(r.Offset)+1)
}

// flush waits until each record is acknowledged or refused; a refusal is an error. settled: no
// record is in flight any more.
func (w *writer) flush(ctx context.Context) (settled bool, err error) {
	if w.records == 0 {
		return true, nil
	}
	both, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(w.ctx, stop)()
	if err := w.cl.Flush(both); err != nil {
		if cause := context.Cause(w.ctx); cause != nil && ctx.Err() == nil {
			err = cause
		}
		return false, fmt.Errorf("records are not acknowledged: %w", err)
	}
	return true, errors.Join(w.failed(), settleKgo(both, w.cl))
}

// settleKgo waits until kgo has recorded the partitions that it has written to. No record may
// be buffered, so AbortBufferedRecords has nothing to abort.
//
// kgo v1.22.3 publishes the partitions of a new topic after it has sent the records that waited
// for them (storePartitionsUpdate: its deferred Store). If these are acknowledged before that,
// EndTransaction finds no partition with records. It then ends nothing, or with
// transaction.version 2 even aborts, and reports success. Both happen under a lock that
// AbortBufferedRecords acquires; after it, the partitions are published.
func settleKgo(ctx context.Context, cl *kgo.Client) error { return cl.AbortBufferedRecords(ctx) }

// copies converts records to kgo's, with copies of their memory, which belongs to the caller.
// It allocates memory for several records at once instead of twice per record. An allocation
// lives until the last of its records is acknowledged.
type copies struct {
	records []kgo.Record // allocated but unused
	memory  []byte
	n       int // number of records so far; short transactions allocate little
}

const (
	copiedRecords = 128
	copiedBytes   = 64 << 10
)

// record returns a copy of r for partition p.
func (c *copies) record(p topic.Partition, r *topic.Record) *kgo.Record {
	if len(c.records) == 0 {
		c.records = make([]kgo.Record, min(c.n+1, copiedRecords))
	}
	out := &c.records[0]
	c.records = c.records[1:]
	c.n++
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Value)
	}
	if n > cap(c.memory)-len(c.memory) {
		c.memory = make([]byte, 0, max(n, min(c.n*n, copiedBytes)))
	}
	out.Topic, out.Partition, out.Timestamp, out.Key, out.Value = p.Topic, p.ID, time.UnixMilli(
		r.Time,
	), c.keep(
		r.Key,
	), c.keep(
		r.Value,
	)
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: c.keep(h.Value)})
	}
	return out
}

// keep returns a copy of b.
func (c *copies) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(c.memory)
	c.memory = append(c.memory, b...)
	return c.memory[from:len(c.memory):len(c.memory)]
}

// batchSize returns the uncompressed size of a batch that contains only this record. The broker
// measures the compressed batch, which is smaller, but whether a record is accepted must not
// depend on how well it compresses. kgo counts four bytes more than the broker.
func batchSize(r *topic.Record) int {
	// attributes, and the deltas of timestamp and offset
	n := 1 + 1 + 1 + sizedBytes(r.Key) + sizedBytes(r.Value) + varint(len(r.Headers))
	for _, h := range r.Headers {
		n += varint(len(h.Key)) + len(h.Key) + sizedBytes(h.Value)
	}
	return 65 + varint(n) + n
}

// sizedBytes returns the encoded size of a length-prefixed byte string.
func sizedBytes(b []byte) int {
	if b == nil {
		return 1
	}
	return varint(len(b)) + len(b)
}

// varint returns the encoded size of a number in zigzag encoding.
func varint(n int) int { return (bits.Len64(uint64(min(n, math.MaxInt32))<<1|1) + 6) / 7 }

// fenced reports whether a broker refused a request because a newer producer uses the same
// transactional id. A transaction that exceeded its timeout ends in the same ways.
// INVALID_TXN_STATE means that there is no transaction to end or to write to; Kafka 4 also
// returns it if a newer producer has aborted it. In all cases nothing was committed.
func fenced(err error) bool {
	for _, e := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
