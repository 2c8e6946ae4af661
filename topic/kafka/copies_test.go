package kafka

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestCopies: records share allocations but no bytes, and do not change with their originals.
func TestCopies(t *testing.T) {
	var c copies
	var out []*kgo.Record
	sizes := []int{0, 1, 60, 5000, copiedBytes - 1, copiedBytes + 1, 3}
	key, value, header := make([]byte, 0, 100), make([]byte, 2*copiedBytes), []byte("h")
	for i := range 1000 {
		r := topic.Record{
			Key:     fmt.Appendf(key, "key %d", i),
			Value:   value[:sizes[i%len(sizes)]],
			Time:    int64(i),
			Headers: []topic.Header{{Key: "n", Value: header}, {Key: "none"}},
		}
		for k := range r.Value {
			r.Value[k] = byte(i)
		}
		header[0] = byte(i)
		if i%5 == 0 {
			r.Value = nil
		}
		out = append(out, c.record(topic.Partition{Topic: "t", ID: int32(i)}, &r))
	}
	for i, r := range out {
		want := bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])
		if i%5 == 0 {
			want = nil
		}
		switch {
		case string(r.Key) != fmt.Sprintf("key %d", i),
			!bytes.Equal(r.Value, want),
			(r.Value == nil) != (want == nil):
			t.Fatalf("record %d: key %q, a value of %d bytes", i, r.Key, len(r.Value))
		case r.Topic != "t" || r.Partition != int32(i) || r.Timestamp.UnixMilli() != int64(i):
			t.Fatalf("record %d: %s/%d at %s", i, r.Topic, r.Partition, r.Timestamp)
		case len(r.Headers) != 2 || r.Headers[0].Value[0] != byte(i) || r.Headers[1].Value != nil:
			t.Fatalf("record %d: headers %v", i, r.Headers)
		case cap(r.Key) != len(r.Key) || cap(r.Value) != len(r.Value):
			t.Fatalf("record %d can grow into its neighbour", i)
		}
	}
}
