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
	maxUnsent      = 64 << 20 // bytes of records that wait for their acknowledgement; then Write waits
	maxUnsentCount = 100_000
)

// limits is what the topics a client writes to take, as its client must know too: batches are built for it.
type limits struct {
	b     *Broker
	mu    sync.Mutex
	known map[string]int
}

// of is the most bytes of a topic's batch.
func (l *limits) of(ctx context.Context, name string) (int, error) {
	l.mu.Lock()
	n, ok := l.known[name]
	l.mu.Unlock()
	if ok {
		return n, nil
	}
	n, err := l.b.MaxMessage(ctx, name)
	if err != nil {
		return 0, err
	}
	n = min(max(n, 512), maxUnsent) // what kgo takes
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[name] = n
	return n, nil
}

func (l *limits) batch(name string) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.known[name]; ok {
		return int32(n)
	}
	return defaultMessage
}

// producing are the options of a client that writes.
//
// Batches go out in snappy, kgo's own preference: it costs next to no time on either side and every broker knows it; zstd would save a
// third of the disk for several times the work. EndTxn is never tried again: an answer that was lost may have been either, and a late
// request that meets the next transaction ends the wrong one (KAFKA-17754). RecordDeliveryTimeout is of no use, because kgo counts it from a
// record's own time; the writer's context has that part.
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

// writer is the writing half of a transaction.
type writer struct {
	cl     *kgo.Client
	limits *limits
	ctx    context.Context // ends what is written when the transaction ends or has taken too long
	stop   context.CancelFunc
	base   context.Context
	after  time.Duration // from the first record on; 0: no limit

	records int
	copies  copies
	mu      sync.Mutex
	ends    map[topic.Partition]topic.Offset
	refused error // the first record that did not get through
}

// Ends implements topic.Placer: it is known for what has been acknowledged, so for everything after Commit.
func (w *writer) Ends() map[topic.Partition]topic.Offset {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends
}

// Write implements topic.Txn. It does not wait for the broker unless 64 MiB are on their way, and copies what it is given. Records that
// are too large are left out and the others written; the error tells of the first one.
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
				tooLarge = fmt.Errorf("%s: a record of %d bytes is left out, the topic's max.message.bytes is %d: %w", p, size, most, topic.ErrTooLarge)
			}
			continue
		}
		w.records++
		w.cl.Produce(w.ctx, w.copies.record(p, &records[i]), w.acknowledged)
	}
	return tooLarge
}

// arm starts the time that the transaction may take: the coordinator aborts it as long after its first record.
func (w *writer) arm() {
	if w.ctx != nil {
		return
	}
	if w.after > 0 {
		w.ctx, w.stop = context.WithTimeoutCause(w.base, w.after, fmt.Errorf("the transaction takes longer than its timeout of %s", w.after))
		return
	}
	w.ctx, w.stop = context.WithCancel(w.base)
}

func (w *writer) release() {
	if w.stop != nil {
		w.stop()
	}
}

func (w *writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// acknowledged is kgo's promise of each record.
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
			w.refused = fmt.Errorf("a record for %s was not taken: %w", p, err)
		}
		return
	}
	if w.ends == nil {
		w.ends = map[topic.Partition]topic.Offset{}
	}
	w.ends[p] = max(w.ends[p], topic.Offset(r.Offset)+1)
}

// flush waits until each record is acknowledged, or refused, which is an error. settled: none is on its way any more.
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

// settleKgo waits until kgo knows of what it has written. Nothing must be buffered any more, so there is nothing that this aborts.
//
// kgo v1.22.3 publishes the partitions of a topic that is new to it after it has sent the records that waited for them
// (storePartitionsUpdate: its deferred Store). When they are acknowledged before that, EndTransaction finds no partition with records, so
// it ends nothing, or with transaction.version 2 even aborts, and reports success. Both happen under a lock that AbortBufferedRecords
// takes: after it, the partitions are there.
func settleKgo(ctx context.Context, cl *kgo.Client) error { return cl.AbortBufferedRecords(ctx) }

// copies makes kgo's records out of ours, whose memory is the caller's. It takes memory for several at once, instead of twice a record. A
// piece lives until the last of its records is acknowledged.
type copies struct {
	records []kgo.Record // not given out yet
	memory  []byte
	n       int // records made, so that short transactions take little
}

const (
	copiedRecords = 128
	copiedBytes   = 64 << 10
)

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
	out.Topic, out.Partition, out.Timestamp, out.Key, out.Value = p.Topic, p.ID, time.UnixMilli(r.Time), c.keep(r.Key), c.keep(r.Value)
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: c.keep(h.Value)})
	}
	return out
}

func (c *copies) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(c.memory)
	c.memory = append(c.memory, b...)
	return c.memory[from:len(c.memory):len(c.memory)]
}

// batchSize is what a record takes as the only one of its batch, uncompressed: a broker measures what arrives, which is smaller, but
// whether a record passes must not hang on how well it compresses. kgo counts four bytes more than the broker.
func batchSize(r *topic.Record) int {
	n := 1 + 1 + 1 + sizedBytes(r.Key) + sizedBytes(r.Value) + varint(len(r.Headers)) // attributes, the deltas of time and offset
	for _, h := range r.Headers {
		n += varint(len(h.Key)) + len(h.Key) + sizedBytes(h.Value)
	}
	return 65 + varint(n) + n
}

func sizedBytes(b []byte) int {
	if b == nil {
		return 1
	}
	return varint(len(b)) + len(b)
}

// varint is the bytes of a number in zigzag.
func varint(n int) int { return (bits.Len64(uint64(min(n, math.MaxInt32))<<1|1) + 6) / 7 }

// fenced reports whether a broker refused something because there is a newer producer with the same transactional id. A transaction that
// took longer than its timeout ends in the same ways. INVALID_TXN_STATE says that there is no transaction any more to end or to write to:
// Kafka 4 answers so, as well, when a newer producer has aborted it. All of them say that nothing was committed.
func fenced(err error) bool {
	for _, e := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
