package op

import (
	"fmt"
	"testing"

	"github.com/streamql/streamql/flow"
)

// BenchmarkSessions compares the cost of a row that joins one of many open sessions of one key with
// that of a row in one of as many tumbling windows. The metric x/tumbling is their ratio.
func BenchmarkSessions(b *testing.B) {
	calls := []AggregateCall{call(b, "COUNT"), call(b, "SUM", 1)}
	const rows, apart = 1024, 1000
	for _, open := range []int{100, 4_000, 100_000} {
		b.Run(fmt.Sprintf("open=%d", open), func(b *testing.B) {
			grace := int64(2 * apart * open)
			perRow := func(w *Window) float64 {
				op := opened(b, totals(b, events, w, EmitEnd, false, calls...), flow.NewAccount(1<<34))
				clock := int64(0)
				list := make([]event, rows)
				for at := 0; at < open; {
					n := min(rows, open-at)
					for i := range n {
						list[i] = event{k: "a", v: 1, t: int64(at+i) * apart}
					}
					if err := op.Process(0, batch(list[:n], &clock), nil); err != nil {
						b.Fatal(err)
					}
					at += n
				}
				x := uint64(7)
				for i := range list {
					x = mix(x)
					list[i] = event{k: "a", v: 1, t: int64(x%uint64(open)) * apart}
				}
				in := batch(list, &clock)
				b.ResetTimer()
				before := b.Elapsed()
				for range b.N {
					if err := op.Process(0, in, nil); err != nil {
						b.Fatal(err)
					}
				}
				return float64((b.Elapsed() - before).Nanoseconds()) / float64(b.N) / rows
			}
			tumbling := perRow(&Window{Size: apart, Advance: apart, Grace: grace})
			session := perRow(&Window{Gap: apart / 2, Grace: grace})
			b.ReportMetric(session, "ns/row")
			b.ReportMetric(session/tumbling, "x/tumbling")
		})
	}
}
