package local

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// round is one step of a small job. It reads nothing, writes its number to two partitions,
// stores it in the state and moves the position.
func round(b *Broker, s state.Store, i int) error {
	tx, err := b.Begin(ctx, "job")
	if err != nil {
		return err
	}
	for id := range int32(2) {
		for j := range i%4 + 1 {
			if err := tx.Write(part("out", id), topic.Record{Key: fmt.Append(nil, i, j), Value: fmt.Append(nil, i), Time: int64(i)}); err != nil {
				return err
			}
		}
	}
	if err := s.Keyspace("n").Put([]byte("round"), fmt.Append(nil, i)); err != nil {
		return err
	}
	if err := s.Keyspace("n").Put(fmt.Append(nil, "round ", i), []byte{}); err != nil {
		return err
	}
	read := map[topic.Partition]topic.Offset{part("in", 0): topic.Offset(i)}
	if err := tx.(topic.Keeper).Keep(s.Pending(read)...); err != nil {
		return err
	}
	if err := tx.Commit(ctx, read); err != nil {
		return err
	}
	return s.Commit(true)
}

// verify opens the files that a crash has left, checks that outputs, state and positions belong
// to the same round, and returns that round.
func verify(t *testing.T, fs vfs.FS) int {
	t.Helper()
	b, err := Open("dir", FS(fs), SegmentBytes(600))
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	defer b.Close()
	if _, err := b.Describe(ctx, "out"); errors.Is(err, topic.ErrUnknownTopic) {
		return -1 // before the first round
	}
	s, err := state.Open(b.DB(), "task")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	round := int(s.Position()[part("in", 0)])
	if got, ok, _ := s.Keyspace("n").Get([]byte("round")); ok && string(got) != fmt.Sprint(round) ||
		!ok && round != 0 {
		t.Fatalf("the position is %d, the state %q", round, got)
	}
	kept := 0
	for _, err := range s.Keyspace("n").Scan([]byte("round "), []byte("round!")) {
		if err != nil {
			t.Fatal(err)
		}
		kept++
	}
	if kept != round {
		t.Fatalf("%d rounds are in the state instead of %d", kept, round)
	}
	var want []string
	for i := 1; i <= round; i++ {
		want = append(want, slices.Repeat([]string{fmt.Sprint(i)}, i%4+1)...)
	}
	for id := range int32(2) {
		d := must(b.Describe(ctx, "out"))(t)
		if int(d.Partitions[id].To) != len(want) {
			t.Fatalf("partition %d ends at %d, want %d", id, d.Partitions[id].To, len(want))
		}
		got, _ := drain(t, b, d.Partitions[id])
		same(t, got, want)
	}
	if err := b.Create(ctx, "in", topic.Config{}); err != nil && !errors.Is(err, topic.ErrTopicExists) {
		t.Fatal(err)
	}
	_, at, err := b.position("job", part("in", 0))
	if err != nil || int(at) != round {
		t.Fatalf("the group's position is %d, want %d (%v)", at, round, err)
	}
	return round
}

// TestCrashAtEachFileOperation crashes before each file operation in turn, with 0 to 100 % of
// the unsynced data surviving.
func TestCrashAtEachFileOperation(t *testing.T) {
	const rounds = 6
	step := 1
	if testing.Short() {
		step = 7
	}
	for at := 1; ; at += step {
		mem := vfs.NewCrashableMem()
		var crashed *vfs.MemFS
		var mu sync.Mutex
		count, acked := 0, 0
		ackedThen := 0
		seed := rand.New(rand.NewPCG(uint64(at), 1))
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if count++; count == at {
				crashed = mem.CrashClone(
					vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 30, 70, 100}[at%4], RNG: seed},
				)
				ackedThen = acked
			}
			return nil
		}))
		b, err := Open("dir", FS(fs), SegmentBytes(600))
		if err != nil {
			t.Fatal(err)
		}
		create(t, b, "out", topic.Config{Partitions: 2})
		s := must(state.Open(b.DB(), "task"))(t)
		for i := 1; i <= rounds; i++ {
			if err := round(b, s, i); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			acked = i
			mu.Unlock()
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		after, least := crashed, ackedThen
		mu.Unlock()
		if after == nil {
			if at < 50 {
				t.Fatalf("only %d operations were seen", count)
			}
			break
		}
		if got := verify(t, after); got < least && least > 0 || got > least+1 {
			t.Fatalf("crash %d: %d rounds were acknowledged, %d are there", at, least, got)
		}
	}
}

// TestManyCrashes continues after each crash with the remaining files.
func TestManyCrashes(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 2))
		mem := vfs.NewCrashableMem()
		last := 0
		for range 8 {
			var crashed *vfs.MemFS
			var mu sync.Mutex
			left := 20 + rng.IntN(60)
			percent := rng.IntN(101)
			from := mem
			fs := errorfs.Wrap(from, errorfs.InjectorFunc(func(op errorfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && crashed == nil {
					if left--; left == 0 {
						crashed = from.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
					}
				}
				if crashed != nil {
					return syscall.EIO // the crashed process can change nothing more
				}
				return nil
			}))
			acked := last
			b, err := Open("dir", FS(fs), SegmentBytes(600))
			if err == nil {
				err = b.Create(ctx, "out", topic.Config{Partitions: 2})
				if errors.Is(err, topic.ErrTopicExists) {
					err = nil
				}
				var s state.Store
				if err == nil {
					s, err = state.Open(b.DB(), "task")
				}
				for i := last + 1; err == nil && i < last+40; i++ {
					if err = round(b, s, i); err == nil {
						acked = i
					}
				}
				b.Close()
			}
			mu.Lock()
			if crashed == nil {
				t.Fatalf("no crash came: %v", err)
			}
			mem = crashed
			mu.Unlock()
			got := verify(t, mem.CrashClone(vfs.CrashCloneCfg{}))
			if got = max(got, 0); got < acked || got > acked+1 {
				t.Fatalf("seed %d: %d rounds were acknowledged, %d are there", seed, acked, got)
			}
			last = got
		}
	}
}

// TestDiskErrors makes each kind of write fail. The caller receives the cause and the file, no
// lost write is acknowledged, and after a restart everything acknowledged exists.
func TestDiskErrors(t *testing.T) {
	kinds := []errorfs.OpKind{
		errorfs.OpFileWrite,
		errorfs.OpFileSync,
		errorfs.OpCreate,
		errorfs.OpFileSyncData,
		errorfs.OpFileWriteAt,
	}
	for _, kind := range kinds {
		for _, place := range []string{"log", "store", ""} {
			for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
				t.Run(fmt.Sprintf("%d/%s/%v", kind, place, cause), func(t *testing.T) {
					mem := vfs.NewCrashableMem()
					var on atomic.Bool
					var hit atomic.Int32
					fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
						if on.Load() && op.Kind == kind && strings.Contains(op.Path, place) {
							hit.Add(1)
							return cause
						}
						return nil
					}))
					b := must(Open("dir", FS(fs), SegmentBytes(600)))(t)
					create(t, b, "out", topic.Config{Partitions: 2})
					s := must(state.Open(b.DB(), "task"))(t)
					acked := 0
					var err error
					for i := 1; err == nil && i < 20; i++ {
						on.Store(i > 3)
						if err = round(b, s, i); err == nil {
							acked = i
						}
					}
					if err != nil {
						if !strings.Contains(err.Error(), cause.Error()) {
							t.Errorf("the error does not name its cause: %v", err)
						}
						if _, err := b.Begin(ctx, "x"); err == nil || !strings.Contains(err.Error(), "failed") {
							t.Errorf("begin after the failure: %v", err)
						}
					} else if hit.Load() > 0 && place != "store" && place != "" {
						t.Errorf("%d errors of the disk went unnoticed", hit.Load())
					}
					closed := make(chan struct{})
					go func() { defer close(closed); b.Close() }()
					select {
					case <-closed:
					case <-time.After(10 * time.Second):
						t.Fatal("close hangs")
					}
					if got := verify(t, mem.CrashClone(vfs.CrashCloneCfg{})); got < acked || got > acked+1 {
						t.Fatalf("%d rounds were acknowledged, %d are there", acked, got)
					}
				})
			}
		}
	}
}

// TestOpenWithDiskErrors: an open that cannot write is an error.
func TestOpenWithDiskErrors(t *testing.T) {
	for n := range 30 {
		count := 0
		var mu sync.Mutex
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose {
				if count++; count > n {
					return syscall.ENOSPC
				}
			}
			return nil
		}))
		done := make(chan error, 1)
		go func() {
			b, err := Open("dir", FS(fs))
			if err == nil {
				err = b.Create(ctx, "a", topic.Config{})
				b.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil && count > n {
				t.Errorf("failing from operation %d on: no error", n)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("failing from operation %d on: open hangs", n)
		}
	}
}

// TestDamagedSegments: flipped, truncated or missing bytes below the committed end cause an
// error that names the segment, wherever they are.
func TestDamagedSegments(t *testing.T) {
	prepare := func() (*vfs.MemFS, string, int) {
		mem := vfs.NewMem()
		b := must(Open("dir", FS(mem)))(t)
		create(t, b, "a", topic.Config{})
		for i := range 5 {
			write(t, b, part("a", 0), 0, numbers(i*10, i*10+10)...)
		}
		path := b.path(b.topics["a"].parts[0].segments[0])
		size := int(b.topics["a"].parts[0].segments[0].size)
		b.Close()
		return mem, path, size
	}
	_, _, size := prepare()
	for at := -1; at < size; at += 31 {
		mem, path, _ := prepare()
		raw := readAll(t, mem, path)
		switch {
		case at < 0:
			mem.Remove(path)
		case at%2 == 0:
			rewrite(t, mem, path, raw[:at])
		default:
			raw[at] ^= 0xff
			rewrite(t, mem, path, raw)
		}
		b := must(Open("dir", FS(mem)))(t)
		r := must(b.Open(ctx, []topic.Span{{Partition: part("a", 0), To: 50}}))(t)
		var rows int
		var err error
		for err == nil {
			var fetches []topic.Fetch
			fetches, err = r.Poll(ctx)
			for _, f := range fetches {
				for i := range f.Rows() {
					if string(f.Value.At(i)) != fmt.Sprint(f.Offsets[i]) {
						t.Fatalf("damage at %d: a wrong row", at)
					}
				}
				rows += f.Rows()
			}
		}
		if !errors.Is(err, ErrCorrupt) && !(err == io.EOF && rows == 50) {
			t.Fatalf("damage at %d: %d rows, %v", at, rows, err)
		}
		b.Close()
	}
}

func readAll(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f := must(fs.Open(path))(t)
	defer f.Close()
	return must(io.ReadAll(f))(t)
}

func rewrite(t *testing.T, fs vfs.FS, path string, raw []byte) {
	t.Helper()
	f := must(fs.Create(path, vfs.WriteCategoryUnspecified))(t)
	must(f.Write(raw))(t)
	f.Close()
}

func TestDamagedMeta(t *testing.T) {
	for _, k := range []string{"bv", "bn", "bta", "bp\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", "bs\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		mem := vfs.NewMem()
		b := must(Open("dir", FS(mem)))(t)
		create(t, b, "a", topic.Config{})
		write(t, b, part("a", 0), 0, "x")
		if _, closer, err := b.db.Get([]byte(k)); err != nil {
			t.Fatalf("%q is not a key: %v", k, err)
		} else {
			closer.Close()
		}
		b.db.Set([]byte(k), []byte{0xff}, pebble.Sync)
		b.Close()
		if _, err := Open("dir", FS(mem)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", k, err)
		}
	}
}

// TestConcurrent runs writers, readers and retention concurrently, for the race detector.
func TestConcurrent(t *testing.T) {
	b := open(t, "", SegmentBytes(2000), PollRecords(7))
	create(t, b, "a", topic.Config{Partitions: 2})
	const each = 200
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range each {
				tx, err := b.Begin(ctx, fmt.Sprint("w", w))
				if err == nil {
					err = tx.Write(
						part("a", int32(i%2)),
						topic.Record{Key: fmt.Append(nil, w), Value: fmt.Append(nil, i)},
					)
				}
				if err == nil {
					err = tx.Commit(ctx, nil)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			r, err := b.Open(
				ctx,
				[]topic.Span{
					{Partition: part("a", 0), To: 3 * each / 2},
					{Partition: part("a", 1), To: 3 * each / 2},
				},
			)
			if err != nil {
				t.Error(err)
				return
			}
			rows := 0
			for {
				fetches, err := r.Poll(ctx)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range fetches {
					rows += f.Rows()
				}
			}
			if rows != 3*each {
				t.Errorf("%d rows, want %d", rows, 3*each)
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			b.Retain(ctx)
			b.OffsetAt(ctx, part("a", 0), 0)
			b.Topics(ctx)
		}
	})
	wg.Wait()
}

func BenchmarkSmallTransactions(b *testing.B) {
	for _, dir := range []string{"", b.TempDir()} {
		name := "memory"
		if dir != "" {
			name = "disk"
		}
		b.Run(name, func(b *testing.B) {
			br := must(Open(dir))(b)
			defer br.Close()
			br.Create(ctx, "a", topic.Config{})
			r := topic.Record{Key: []byte("key"), Value: []byte("value")}
			for b.Loop() {
				tx, _ := br.Begin(ctx, "w")
				tx.Write(part("a", 0), r)
				if err := tx.Commit(ctx, map[topic.Partition]topic.Offset{part("a", 0): 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	br := must(Open(b.TempDir()))(b)
	defer br.Close()
	br.Create(ctx, "a", topic.Config{})
	const rows = 1_000_000
	tx, _ := br.Begin(ctx, "w")
	for i := range rows {
		tx.Write(
			part("a", 0),
			topic.Record{Key: fmt.Append(nil, i), Value: []byte("a value of thirty bytes or so..")},
		)
	}
	if err := tx.Commit(ctx, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r := must(br.Open(ctx, []topic.Span{{Partition: part("a", 0), To: rows}}))(b)
		n := 0
		for {
			f, err := r.Poll(ctx)
			if err == io.EOF {
				break
			}
			n += f[0].Rows()
		}
		if n != rows {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		br := must(Open(dir))(b)
		br.Close()
	}
}

// TestStoreCompacts: much more state than a memtable holds passes through the store without
// blocking, and is compacted.
func TestStoreCompacts(t *testing.T) {
	b := open(t, "")
	rng := rand.New(rand.NewPCG(1, 1))
	val := make([]byte, 1000)
	for range 80 {
		batch := b.DB().NewBatch()
		for range 1000 {
			batch.Set(fmt.Appendf(nil, "s%08x", rng.Uint32()), val, nil)
		}
		if err := b.apply(batch); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.DB().Metrics().Compact.Count; n == 0 {
		t.Fatal("no compaction has run")
	}
}
