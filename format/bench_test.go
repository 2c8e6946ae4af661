package format

import (
	"encoding/json"
	"testing"
)

func BenchmarkJSON(b *testing.B) {
	const rows = 4096
	list, in, cols := carRecords(rows)
	bytes := float64(len(in.Data))
	report := func(b *testing.B) {
		s := b.Elapsed().Seconds()
		b.ReportMetric(rows*float64(b.N)/s/1e6, "Mrows/s")
		b.ReportMetric(bytes*float64(b.N)/s/1e6, "MB/s")
		b.ReportMetric(100*bytes*float64(b.N)/s/1560e6, "%limit") // of 1.56 GB/s, by a prototype that decodes all fields by layout on one core
	}
	decode := func(want []int) func(b *testing.B) {
		return func(b *testing.B) {
			codec := mustNew(b, Spec{Name: "JSON", Fields: list})
			b.ReportAllocs()
			for b.Loop() {
				if _, bad, err := codec.Decode(in, want); err != nil || bad != nil {
					b.Fatal(err, bad)
				}
			}
			report(b)
		}
	}
	b.Run("decode all", decode(all(list)))
	b.Run("decode 2 of 20", decode([]int{0, 7}))
	b.Run("encode", func(b *testing.B) {
		codec := mustNew(b, Spec{Name: "JSON", Fields: list})
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf = buf[:0]
			for row := range rows {
				buf, _ = codec.Encode(buf, cols, row)
			}
		}
		report(b)
	})
	b.Run("encoding/json", func(b *testing.B) {
		for b.Loop() {
			for row := range rows {
				var v map[string]any
				if err := json.Unmarshal(in.At(row), &v); err != nil {
					b.Fatal(err)
				}
			}
		}
		report(b)
	})
}
