//go:build synctests

package storm

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBombs produces compressed records that inflate far beyond the limits. Each becomes a dead letter with
// its offset and its compressed size. The other records of its batch and the records after it are processed.
func TestBombs(t *testing.T) {
	inLab(t, "", func(l *lab) {
		if err := l.fake.CreateTopic("big", 1, nil); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"CREATE STREAM big (k STRING KEY, v STRING) WITH (kafka_topic='big', value_format='json');",
			"CREATE STREAM copy AS SELECT k, v FROM big EMIT CHANGES;"} {
			if err := l.define(text); err != nil {
				t.Fatal(err)
			}
		}
		cl, err := kgo.NewClient(append(l.cl.Opts(), kgo.ProducerBatchCompression(kgo.GzipCompression()),
			kgo.ProducerBatchMaxBytes(64<<20),
			kgo.ManualFlushing())...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		sizes := []int{20 << 20, 50 << 20}
		for _, size := range sizes {
			for _, v := range []string{"before", strings.Repeat("A", size), "after"} {
				cl.Produce(context.Background(), &kgo.Record{Topic: "big", Key: []byte("k"), Value: []byte(`{"v":"` + v + `"}`)},
					func(_ *kgo.Record, e error) {
						err = errors.Join(err, e)
					})
			}
			if err = errors.Join(err, cl.Flush(context.Background())); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		read, err := l.read("copy", errorsTopic)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(read["copy"]); n != 4 {
			t.Errorf("%d rows were processed", n)
		}
		letters := read[errorsTopic]
		if len(letters) != len(sizes) {
			t.Fatalf("%d dead letters", len(letters))
		}
		for i, r := range letters {
			h := map[string]string{}
			for _, x := range r.Headers {
				h[x.Key] = string(x.Value)
			}
			if at := strconv.Itoa(3*i + 1); h["streamql.code"] != "SQ5106" || h["streamql.topic"] != "big" ||
				h["streamql.partition"] != "0" || h["streamql.offset"] != at ||
				!strings.Contains(h["streamql.message"], "offset "+at+", "+strconv.Itoa(sizes[i])[:4]) {
				t.Errorf("dead letter %d: %v", i, h)
			}
		}
	})
}
