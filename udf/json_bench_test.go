package udf

import "testing"

// benchJSON is a record as cars send them.
const benchJSON = `{"car": "car-0042", "speed": 27.25, "readings": {"coolant": 81.5, "battery": [396.1, 402.7, 398.0], "note": "caf\u00e9"}, "failed": false}`

func BenchmarkJSONField(b *testing.B) {
	path, err := parsePath("$.readings.battery[1]")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(benchJSON)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := jsonValue(benchJSON)
		if err != nil {
			b.Fatal(err)
		}
		if got, err := at(v, path); err != nil || got != "402.7" {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkJSONMembers(b *testing.B) {
	b.SetBytes(int64(len(benchJSON)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		members(benchJSON, func(_, value string) { n += len(compact(value)) })
		if n == 0 {
			b.Fatal("no member")
		}
	}
}
