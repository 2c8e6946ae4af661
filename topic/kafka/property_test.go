package kafka

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// TestLikeKgo compares the columns with the records of the client library's consumer on random
// input: several producers with overlapping transactions that end either way, and random spans,
// poll sizes and codecs.
func TestLikeKgo(t *testing.T) {
	c := newCluster(t, nil)
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(),
		kgo.GzipCompression(),
		kgo.SnappyCompression(),
		kgo.Lz4Compression(),
		kgo.ZstdCompression(),
	}
	var readers []*Broker
	for _, n := range []int{1, 3, 4096} {
		readers = append(readers, c.open(func(c *Config) { c.PollRecords = n }))
	}
	rapid.Check(t, func(rt *rapid.T) {
		const partitions = 2
		name := c.topic(partitions, false)
		var writers []*kgo.Client
		for i := range 3 {
			codec := rapid.SampledFrom(codecs).Draw(rt, "codec")
			opts := []kgo.Opt{kgo.ProducerBatchCompression(codec)}
			if i > 0 {
				opts = append(opts, kgo.TransactionalID(fmt.Sprint(name, i)))
			}
			cl := c.producer(opts...)
			defer cl.Close()
			writers = append(writers, cl)
		}
		open := map[int]bool{}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			i := rapid.IntRange(0, 2).Draw(rt, "writer")
			cl := writers[i]
			if i > 0 && open[i] && rapid.IntRange(0, 2).Draw(rt, "end") == 0 {
				finish(rt, cl, rapid.Bool().Draw(rt, "commit"))
				open[i] = false
				continue
			}
			if i > 0 && !open[i] {
				if err := cl.BeginTransaction(); err != nil {
					rt.Fatal(err)
				}
				open[i] = true
			}
			var records []*kgo.Record
			for range rapid.IntRange(1, 12).Draw(rt, "records") {
				records = append(records, drawRecord(rt, name, partitions))
			}
			if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				rt.Fatal(err)
			}
		}
		for i := range open {
			if open[i] {
				finish(rt, writers[i], rapid.Bool().Draw(rt, "commit"))
			}
		}
		spans := c.spans(name)
		want := consume(rt, c, spans)
		for k := range spans {
			s := &spans[k]
			s.From = topic.Offset(rapid.Int64Range(0, int64(s.To)).Draw(rt, "from"))
			s.To = topic.Offset(rapid.Int64Range(int64(s.From), int64(s.To)).Draw(rt, "to"))
		}
		var part []row
		for _, r := range want {
			if s := spans[r.p.ID]; r.offset >= s.From && r.offset < s.To {
				part = append(part, r)
			}
		}
		got := c.read(rapid.SampledFrom(readers).Draw(rt, "poll"), spans)
		order := func(x, y row) int {
			if x.p.ID != y.p.ID {
				return int(x.p.ID - y.p.ID)
			}
			return int(x.offset - y.offset)
		}
		slices.SortStableFunc(got, order)
		slices.SortStableFunc(part, order)
		if !slices.Equal(got, part) {
			rt.Fatalf("got %v\nwant %v", got, part)
		}
	})
}

func drawRecord(t *rapid.T, name string, partitions int) *kgo.Record {
	bytesOrNil := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 20))
	r := &kgo.Record{Topic: name, Partition: int32(rapid.IntRange(0, partitions-1).Draw(t, "partition")),
		Key: bytesOrNil.Draw(
			t,
			"key",
		), Value: bytesOrNil.Draw(t, "value"), Timestamp: time.UnixMilli(rapid.Int64Range(0, 1e12).Draw(t, "time"))}
	for range rapid.IntRange(-3, 2).Draw(t, "headers") {
		r.Headers = append(
			r.Headers,
			kgo.RecordHeader{Key: rapid.StringN(0, 5, -1).Draw(t, "name"), Value: bytesOrNil.Draw(t, "content")},
		)
	}
	return r
}

func finish(t *rapid.T, cl *kgo.Client, commit bool) {
	if err := cl.EndTransaction(context.Background(), kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
}

// consume reads with the client library.
func consume(t *rapid.T, c *cluster, spans []topic.Span) (out []row) {
	at := map[string]map[int32]kgo.Offset{}
	ends := map[int32]topic.Offset{}
	for _, s := range spans {
		if at[s.Topic] == nil {
			at[s.Topic] = map[int32]kgo.Offset{}
		}
		if s.To > 0 {
			at[s.Topic][s.ID] = kgo.NewOffset().At(0)
			ends[s.ID] = s.To
		}
	}
	if len(ends) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(
		c.options(kgo.ConsumePartitions(at), kgo.KeepControlRecords(), kgo.FetchMaxWait(20*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for len(ends) > 0 && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= int64(ends[r.Partition]) {
				delete(ends, r.Partition)
			}
			if r.Attrs.IsControl() {
				return
			}
			x := row{
				p:      topic.Partition{Topic: r.Topic, ID: r.Partition},
				offset: topic.Offset(r.Offset),
				time:   r.Timestamp.UnixMilli(),
				key:    text(r.Key),
				value:  text(r.Value),
			}
			for _, h := range r.Headers {
				x.headers += h.Key + "=" + text(h.Value) + ";"
			}
			out = append(out, x)
		})
	}
	return out
}
