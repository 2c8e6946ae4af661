package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestCodecs(t *testing.T) {
	c := newCluster(t, nil)
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		t.Run(name, func(t *testing.T) {
			p := topic.Partition{Topic: c.topic(1, false)}
			cl := c.producer(kgo.ProducerBatchCompression(codec))
			write(t, cl, p, 0, 500)
			write(t, cl, p, 500, 1000)
			same(t, values(c.read(c.Broker, c.spans(p.Topic))), numbers(0, 1000))
		})
	}
}

func TestHeadersAndNulls(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	at := time.UnixMilli(1_700_000_000_123)
	h := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "", Value: []byte{}}}
	err := c.producer().ProduceSync(t.Context(),
		&kgo.Record{Topic: p.Topic, Key: nil, Value: nil, Timestamp: at},
		&kgo.Record{Topic: p.Topic, Key: []byte{}, Value: []byte{}, Timestamp: at, Headers: h},
		&kgo.Record{Topic: p.Topic, Key: []byte("k"), Value: []byte("v"), Timestamp: at},
	).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
	want := []row{
		{p, 0, at.UnixMilli(), "NULL", "NULL", ""},
		{p, 1, at.UnixMilli(), `""`, `""`, `a="1";a=NULL;="";`},
		{p, 2, at.UnixMilli(), `"k"`, `"v"`, ""},
	}
	if got := c.read(c.Broker, c.spans(p.Topic)); !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
}

// TestTransactions: spans that end in aborted rows or at markers reach their end.
func TestTransactions(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	one := c.producer(kgo.TransactionalID(p.Topic + "-1"))
	two := c.producer(kgo.TransactionalID(p.Topic + "-2"))
	transaction(t, one, p, 0, 10, kgo.TryCommit)   // 0..9, marker 10
	transaction(t, one, p, 10, 20, kgo.TryAbort)   // 11..20, marker 21
	if err := two.BeginTransaction(); err != nil { // overlaps the next ones
		t.Fatal(err)
	}
	write(t, two, p, 20, 25)
	transaction(t, one, p, 25, 30, kgo.TryAbort)
	transaction(t, one, p, 30, 35, kgo.TryCommit)
	write(t, two, p, 35, 40)
	if err := two.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	spans := c.spans(p.Topic)
	want := numbers(0, 10, 30, 35)
	same(t, values(c.read(c.Broker, spans)), want)
	all, end := c.read(c.Broker, spans), spans[0].To
	for from := topic.Offset(0); from < end; from += 3 {
		for _, to := range []topic.Offset{from, from + 1, (from + end) / 2, end} {
			var part []string
			for _, r := range all {
				if r.offset >= from && r.offset < to {
					part = append(part, r.value)
				}
			}
			same(t, values(c.read(c.Broker, []topic.Span{{Partition: p, From: from, To: max(from, to)}})), part)
		}
	}
}

// TestOpenTransaction: a reader waits at an undecided transaction, and Describe's end is after
// it.
func TestOpenTransaction(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer(kgo.TransactionalID(p.Topic))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	write(t, cl, p, 0, 5)
	spans := c.spans(p.Topic)
	if spans[0].To != 5 {
		t.Fatalf("described as %v", spans)
	}
	r, err := c.Open(t.Context(), spans)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if f, err := r.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v, %v", f, err)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	f, err := r.Poll(t.Context())
	if err != nil || len(f) != 1 || f[0].Rows() != 5 || f[0].Next != 5 {
		t.Fatalf("%v, %v", f, err)
	}
}

func TestPollCutting(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	write(t, c.producer(), p, 0, 100)
	for _, n := range []int{1, 7, 99, 100, 101} {
		b := c.open(func(c *Config) { c.PollRecords = n })
		same(t, values(c.read(b, c.spans(p.Topic))), numbers(0, 100))
	}
}

// TestManyReaders: many readers of many partitions, live and bounded, share the fetcher.
func TestManyReaders(t *testing.T) {
	c := newCluster(t, nil)
	const partitions, rounds = 20, 10
	name := c.topic(partitions, false)
	cl := c.producer()
	var wg sync.WaitGroup
	live := func() {
		var spans []topic.Span
		for i := range int32(partitions) {
			spans = append(spans, whole(topic.Partition{Topic: name, ID: i}, topic.End))
		}
		r, err := c.Open(t.Context(), spans)
		if err != nil {
			t.Error(err)
			return
		}
		wg.Go(func() {
			defer r.Close()
			f := newFollow(t, spans)
			for len(f.rows) < partitions*rounds*10 {
				fetches, err := r.Poll(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				f.take(fetches)
			}
		})
	}
	for range 5 {
		live()
	}
	for n := range rounds {
		for i := range int32(partitions) {
			write(t, cl, topic.Partition{Topic: name, ID: i}, 10*n, 10*n+10)
		}
		if got := c.read(c.Broker, c.spans(name)); len(got) != partitions*10*(n+1) {
			t.Errorf("%d rows after %d rounds", len(got), n+1)
		}
	}
	wg.Wait()
}

func TestLargeRecords(t *testing.T) {
	c := newCluster(t, nil)
	name := c.topic(3, false)
	max, err := c.MaxMessage(t.Context(), name)
	if err != nil || max < 1<<20 {
		t.Fatalf("max.message.bytes %d, %v", max, err)
	}
	c.setConfig(name, "max.message.bytes", fmt.Sprint(20<<20))
	fresh := c.open(nil)
	if max, err := fresh.MaxMessage(t.Context(), name); err != nil || max != 20<<20 {
		t.Fatalf("max.message.bytes %d, %v", max, err)
	}
	cl := c.producer(kgo.ProducerBatchMaxBytes(18<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<16) // 10 MiB
	for i := range int32(3) {
		p := topic.Partition{Topic: name, ID: i}
		for range 3 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: name, Partition: i, Value: big}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			write(t, cl, p, 0, 3)
		}
	}
	if got := c.read(c.Broker, c.spans(name)); len(got) != 36 {
		t.Fatalf("%d rows", len(got))
	}
}
