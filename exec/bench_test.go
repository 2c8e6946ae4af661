package exec

import (
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
)

// BenchmarkFollow measures a live job over two partitions without the cost of operators:
// reading, the state machine, decoding and commits.
func BenchmarkFollow(b *testing.B) {
	const n = 200_000
	for range b.N {
		b.StopTimer()
		w := newWorld(b, 4096)
		values := make([]string, n)
		for i := range values {
			values[i] = "1"
		}
		w.put(values...)
		w.env.Interval = 20 * time.Millisecond
		read := make(chan int64, n)
		w.env.Read = func(rows int64) { read <- rows }
		leaf := &numbers{}
		stage := Stage{Root: leaf, Order: []Node{leaf}, Spans: map[Node][]topic.Span{leaf: {
			{
				Partition: topic.Partition{Topic: "in"},
				To:        topic.End,
			}, {Partition: topic.Partition{Topic: "in", ID: 1}, To: topic.End}}}}
		j, err := New(ctx, "j", []Stage{stage}, w.env)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		j.Start(ctx)
		for rows := int64(0); rows < n; {
			rows += <-read
		}
		j.Stop()
		b.StopTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
