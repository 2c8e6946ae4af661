package state

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/streamql/streamql/topic"
)

// changelog returns the records of a store's commits, n changes each, and the end of each
// commit.
func changelog(tb testing.TB, commits, n, size int) (records []topic.Record, ends []int) {
	tb.Helper()
	db := database(tb, vfs.NewMem())
	defer db.Close()
	s := opened(tb, db, "t", Unsynced())
	k := s.Keyspace("x")
	for c := range commits {
		for i := range n {
			if err := k.Put(fmt.Appendf(nil, "%08d", (c*n+i)*7919%(commits*n)), bytes.Repeat([]byte{byte(c)}, size)); err != nil {
				tb.Fatal(err)
			}
		}
		s.Pending(map[topic.Partition]topic.Offset{{Topic: "in"}: topic.Offset(c)})
		for _, r := range s.Logged() {
			records = append(records, topic.Record{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)})
		}
		ends = append(ends, len(records))
		if err := s.CommitLog(Log{Next: topic.Offset(len(records))}); err != nil {
			tb.Fatal(err)
		}
	}
	return records, ends
}

// TestReplayIsWhole: wherever a replay is interrupted, the stored state consists of whole
// transactions, as many as the stored position indicates.
func TestReplayIsWhole(t *testing.T) {
	const commits, n = 7, 40
	records, ends := changelog(t, commits, n, 100)
	for stop := 1; stop <= len(records); stop += 13 {
		func() {
			db := database(t, vfs.NewMem())
			defer db.Close()
			r, err := NewReplay(db, "t")
			if err != nil {
				t.Fatal(err)
			}
			for i, rec := range records[:stop] {
				if err := r.Put(rec, Log{Cluster: "c", Topic: "t", Next: topic.Offset(i + 1)}); err != nil {
					t.Fatal(err)
				}
			}
			told := r.Log()
			r.Close()
			s := opened(t, db, "t")
			whole := 0
			for whole < commits && ends[whole] <= int(s.Log().Next) {
				whole++
			}
			rows := 0
			for range s.Keyspace("x").Scan(nil, nil) {
				rows++
			}
			if s.Log() != told || int(s.Seq()) != whole || rows != whole*n ||
				whole > 0 && ends[whole-1] != int(told.Next) {
				t.Fatalf(
					"stopped after %d records: %d rows, commit %d, place %+v, told %+v",
					stop,
					rows,
					s.Seq(),
					s.Log(),
					told,
				)
			}
			if whole < commits && ends[whole] <= stop {
				t.Fatalf("stopped after %d records: a whole transaction is not applied; commit %d", stop, s.Seq())
			}
		}()
	}
}

// BenchmarkReplay replays transactions of 10 and of 1,000 records of 200 bytes; ns per record.
func BenchmarkReplay(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			records, _ := changelog(b, 100_000/n, n, 200)
			b.ResetTimer()
			for range b.N {
				db, err := OpenDB("", nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				r, err := NewReplay(db.DB, "t")
				if err != nil {
					b.Fatal(err)
				}
				for i, rec := range records {
					if err := r.Put(rec, Log{Cluster: "c", Topic: "t", Next: topic.Offset(i + 1)}); err != nil {
						b.Fatal(err)
					}
				}
				db.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}
