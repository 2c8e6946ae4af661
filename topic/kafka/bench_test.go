package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cpu returns the CPU time of this process on all cores. Wall time means little on a shared
// machine.
func cpu() time.Duration {
	const processTime = 2
	var ts syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processTime, uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkConsume reads the same rows as columns and as the client library's records. With
// kfake, the broker's own cost is part of both.
func BenchmarkConsume(b *testing.B) {
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "zstd": kgo.ZstdCompression()} {
		b.Run(name, func(b *testing.B) {
			const rows = 400_000
			c := newCluster(b, nil)
			p := topic.Partition{Topic: c.topic(1, false)}
			cl := c.producer(
				kgo.ProducerBatchCompression(codec),
				kgo.ProducerLinger(20*time.Millisecond),
				kgo.MaxBufferedRecords(rows),
			)
			for i := range rows {
				v := fmt.Appendf(
					nil,
					`{"auction":%d,"bidder":%d,"price":%d,"channel":"Google","url":"https://www.nexmark.com/%x/item.htm?query=1",`+
						`"dateTime":"2020-01-01 00:00:%02d.%03d","extra":"%0180d"}`,
					i%1000,
					i%777,
					i*31,
					i*7919,
					i%60,
					i%1000,
					i*i,
				)
				cl.Produce(b.Context(), &kgo.Record{Topic: p.Topic, Key: fmt.Append(nil, i%1000), Value: v}, nil)
			}
			if err := cl.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			var columns, records, bare, wall time.Duration
			b.ResetTimer()
			for range b.N {
				first := cpu()
				consumeBytes(b, c, p, rows)
				start := cpu()
				bare += start - first
				consumeRecords(b, c, p, rows)
				middle, begin := cpu(), time.Now()
				consumeColumns(b, c, p, rows)
				wall += time.Since(begin)
				records, columns = records+middle-start, columns+cpu()-middle
			}
			n := float64(rows * b.N)
			b.ReportMetric(n/columns.Seconds(), "rows/cpu-s")
			b.ReportMetric(n/wall.Seconds(), "rows/s")
			b.ReportMetric(n/records.Seconds(), "kgo-rows/cpu-s")
			b.ReportMetric(records.Seconds()/columns.Seconds(), "x-kgo")
			b.ReportMetric((records-bare).Seconds()/(columns-bare).Seconds(), "x-kgo-beyond-the-socket")
		})
	}
}

// BenchmarkCopies builds the records of a transaction of 10,000 rows.
func BenchmarkCopies(b *testing.B) {
	r := topic.Record{Key: []byte("account-0001234"), Value: make([]byte, 60), Time: 1}
	keep := make([]*kgo.Record, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		var c copies
		for i := range keep {
			keep[i] = c.record(topic.Partition{Topic: "t"}, &r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keep)), "ns/record")
}

func consumeColumns(b *testing.B, c *cluster, p topic.Partition, rows int) {
	r, err := c.Open(b.Context(), []topic.Span{whole(p, topic.Offset(rows))})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	n := 0
	for {
		fetches, err := r.Poll(b.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		for i := range fetches {
			n += fetches[i].Rows()
		}
	}
	if n != rows {
		b.Fatalf("%d rows", n)
	}
}

// consumeBytes reads the same responses from the socket and parses only batch headers: the
// minimal cost of any consumer.
func consumeBytes(b *testing.B, c *cluster, p topic.Partition, rows int) {
	l, err := c.layout(b.Context(), p.Topic)
	if err != nil {
		b.Fatal(err)
	}
	ln := &sender{f: c.fetch, node: l.partitions[0].leader, cl: c.cl}
	d := &feed{span: whole(p, topic.End), id: l.id, epoch: -1}
	for at := topic.Offset(0); at < topic.Offset(rows); {
		resp, err := ln.send(&order{ids: true, parts: []part{{feeds: []*feed{d}, bytes: farBytes, want: at}}})
		if err != nil {
			b.Fatal(err)
		}
		at = cut(at, &resp.Topics[0].Partitions[0], 0).next
	}
}

func consumeRecords(b *testing.B, c *cluster, p topic.Partition, rows int) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(c.brokers...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(farBytes),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.ID: kgo.NewOffset().At(0)}}),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	n, bytes := 0, 0
	for n < rows {
		cl.PollFetches(context.Background()).EachRecord(func(r *kgo.Record) {
			n++
			bytes += len(r.Value)
		})
	}
}
