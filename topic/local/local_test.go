package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

var (
	ctx = context.Background()

	_ topic.Broker = (*Broker)(nil)
	_ topic.Admin  = (*Broker)(nil)
	_ topic.Timed  = (*Broker)(nil)
	_ topic.Keeper = (*txn)(nil)
)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func open(t testing.TB, dir string, opts ...Option) *Broker {
	t.Helper()
	b := must(Open(dir, opts...))(t)
	t.Cleanup(func() { b.Close() })
	return b
}

func create(t testing.TB, b *Broker, name string, c topic.Config) {
	t.Helper()
	if err := b.Create(ctx, name, c); err != nil {
		t.Fatal(err)
	}
}

func part(name string, id int32) topic.Partition { return topic.Partition{Topic: name, ID: id} }

// write commits values to a partition, with timestamps 0, 1, 2... from ms.
func write(t testing.TB, b *Broker, p topic.Partition, ms int64, values ...string) {
	t.Helper()
	tx := must(b.Begin(ctx, "writer"))(t)
	for i, v := range values {
		if err := tx.Write(p, topic.Record{Key: []byte("k" + v), Value: []byte(v), Time: ms + int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(ctx, nil); err != nil {
		t.Fatal(err)
	}
}

// drain reads a bounded span to its end and checks that fetches are contiguous.
func drain(t testing.TB, b *Broker, s topic.Span) (values []string, offsets []topic.Offset) {
	t.Helper()
	r := must(b.Open(ctx, []topic.Span{s}))(t)
	defer r.Close()
	at := s.From
	for {
		fetches, err := r.Poll(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetches {
			if f.From != at || f.Next <= f.From {
				t.Fatalf("fetch of [%d, %d) after %d", f.From, f.Next, at)
			}
			at = f.Next
			for i := range f.Rows() {
				if f.Offsets[i] < f.From || f.Offsets[i] >= f.Next {
					t.Fatalf("offset %d in [%d, %d)", f.Offsets[i], f.From, f.Next)
				}
				values, offsets = append(values, string(f.Value.At(i))), append(offsets, f.Offsets[i])
			}
		}
	}
	if at != s.To {
		t.Fatalf("read up to %d instead of %d", at, s.To)
	}
	return values, offsets
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("got %d: %.200v\nwant %d: %.200v", len(got), got, len(want), want)
	}
}

// TestReadBack: the same rows are returned for every poll size, segment size and storage.
func TestReadBack(t *testing.T) {
	for _, c := range []struct {
		poll    int
		segment int64
		memory  bool
	}{{1, 100, true}, {7, 1 << 20, true}, {4096, 1, true}, {7, 500, false}, {4096, 1 << 20, false}} {
		dir := ""
		if !c.memory {
			dir = t.TempDir()
		}
		b := open(t, dir, PollRecords(c.poll), SegmentBytes(c.segment))
		create(t, b, "a", topic.Config{Partitions: 2})
		for i := 0; i < 200; i += 10 {
			write(t, b, part("a", 1), 0, numbers(i, i+10)...)
		}
		for _, s := range [][2]topic.Offset{{0, 200}, {0, 1}, {199, 200}, {55, 123}, {60, 60}} {
			got, _ := drain(t, b, topic.Span{Partition: part("a", 1), From: s[0], To: s[1]})
			same(t, got, numbers(int(s[0]), int(s[1])))
		}
		if c.memory {
			continue
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open(t, dir, PollRecords(c.poll), SegmentBytes(c.segment))
		write(t, b, part("a", 1), 0, numbers(200, 210)...)
		got, _ := drain(t, b, topic.Span{Partition: part("a", 1), From: 0, To: 210})
		same(t, got, numbers(0, 210))
		d := must(b.Describe(ctx, "a"))(t)
		if len(d.Partitions) != 2 || d.Partitions[1].To != 210 || d.Partitions[0].To != 0 {
			t.Fatalf("%+v", d)
		}
	}
}

func TestLiveReaderWakes(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	r := must(b.Open(ctx, []topic.Span{{Partition: part("a", 0), To: topic.End}}))(t)
	got := make(chan string, 10)
	go func() {
		defer close(got)
		for {
			fetches, err := r.Poll(ctx)
			if err != nil {
				got <- err.Error()
				return
			}
			for _, f := range fetches {
				for i := range f.Rows() {
					got <- string(f.Value.At(i))
				}
			}
		}
	}()
	for _, v := range []string{"x", "y"} {
		write(t, b, part("a", 0), 0, v)
		if g := receive(t, got); g != v {
			t.Fatalf("got %q, want %q", g, v)
		}
	}
	r.Close()
	if g := receive(t, got); g != batch.ErrReaderClosed.Error() {
		t.Fatal(g)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came within 5 s")
		panic("unreachable")
	}
}

func TestPollEndsWithContext(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	r := must(b.Open(ctx, []topic.Span{{Partition: part("a", 0), To: topic.End}}))(t)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := r.Poll(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestUncommittedIsUnseen(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	tx := must(b.Begin(ctx, "w"))(t)
	if err := tx.Write(part("a", 0), topic.Record{Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if d := must(b.Describe(ctx, "a"))(t); d.Partitions[0].To != 0 {
		t.Fatal("an uncommitted record is counted")
	}
	if err := tx.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx, nil); err == nil {
		t.Fatal("commit after abort: no error")
	}
	write(t, b, part("a", 0), 0, "y")
	got, _ := drain(t, b, topic.Span{Partition: part("a", 0), To: 1})
	same(t, got, []string{"y"})
}

func TestFencing(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	old := must(b.Begin(ctx, "w"))(t)
	if err := old.Write(part("a", 0), topic.Record{Value: []byte("old")}); err != nil {
		t.Fatal(err)
	}
	other := must(b.Begin(ctx, "v"))(t)
	newer := must(b.Begin(ctx, "w"))(t)
	if err := old.Write(part("a", 0), topic.Record{}); !errors.Is(err, topic.ErrFenced) {
		t.Fatalf("write: %v", err)
	}
	if err := old.Commit(ctx, nil); !errors.Is(err, topic.ErrFenced) {
		t.Fatalf("commit: %v", err)
	}
	for _, tx := range []topic.Txn{newer, other} {
		if err := tx.Commit(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	if d := must(b.Describe(ctx, "a"))(t); d.Partitions[0].To != 0 {
		t.Fatal("a fenced writer has written")
	}
}

func TestErrors(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	if err := b.Create(ctx, "a", topic.Config{Partitions: 5}); !errors.Is(err, topic.ErrTopicExists) {
		t.Errorf("create again: %v", err)
	}
	for _, c := range []topic.Config{{Partitions: -1}, {Partitions: maxPartitions + 1}} {
		if err := b.Create(ctx, "b", c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	if err := b.Create(ctx, "", topic.Config{}); err == nil {
		t.Error("a topic without a name: no error")
	}
	if _, err := b.Describe(ctx, "no"); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("describe: %v", err)
	}
	if err := b.Delete(ctx, "no"); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("delete: %v", err)
	}
	if _, err := b.OffsetAt(ctx, part("no", 0), 0); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("offset at: %v", err)
	}
	for _, s := range []topic.Span{{Partition: part("a", 1)}, {Partition: part("a", -1)}, {Partition: part("a", 0), From: -1}, {Partition: part("a", 0), From: 2, To: 1}} {
		if _, err := b.Open(ctx, []topic.Span{s}); err == nil {
			t.Errorf("open %+v: no error", s)
		}
	}
	tx := must(b.Begin(ctx, "w"))(t)
	if err := tx.Write(part("no", 0), topic.Record{}); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("write: %v", err)
	}
	if err := tx.(topic.Keeper).Keep(topic.Record{Key: []byte("bx")}); err == nil {
		t.Error("keep of a broker's key: no error")
	}
	if err := tx.Commit(ctx, map[topic.Partition]topic.Offset{part("a", 0): -1}); err == nil {
		t.Error("negative position: no error")
	}
	b.Close()
	if _, err := b.Begin(ctx, "w"); err == nil {
		t.Error("begin after close: no error")
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := Open(dir)
	if !errors.Is(err, topic.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("second open: %v", err)
	}
	b.Close()
	open(t, dir)
}

func TestNamesAreAnyText(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	names := []string{"../../etc/passwd", "a\x00b", "a", "ä/ö", strings.Repeat("x", 300), "."}
	for _, n := range names {
		create(t, b, n, topic.Config{})
		write(t, b, part(n, 0), 0, n)
	}
	b.Close()
	b = open(t, dir)
	for _, n := range names {
		got, _ := drain(t, b, topic.Span{Partition: part(n, 0), To: 1})
		same(t, got, []string{n})
	}
	files := must(filepath.Glob(filepath.Join(dir, "log", "*")))(t)
	if len(files) != len(names) {
		t.Fatalf("%d segment files for %d topics: %v", len(files), len(names), files)
	}
}

func TestReplacedTopic(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	write(t, b, part("a", 0), 0, "old")
	r := must(b.Open(ctx, []topic.Span{{Partition: part("a", 0), To: topic.End}}))(t)
	if _, err := r.Poll(ctx); err != nil {
		t.Fatal(err)
	}
	id := must(b.Describe(ctx, "a"))(t).ID
	failed := make(chan error, 1)
	go func() { _, err := r.Poll(ctx); failed <- err }()
	tx := must(b.Begin(ctx, "slow"))(t)
	tx.Write(part("a", 0), topic.Record{Value: []byte("for the old topic")})
	positions := must(b.Begin(ctx, "g"))(t)
	if err := b.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, failed); !errors.Is(err, topic.ErrTopicReplaced) {
		t.Fatalf("reader: %v", err)
	}
	create(t, b, "a", topic.Config{})
	if err := tx.Commit(ctx, nil); !errors.Is(err, topic.ErrTopicReplaced) {
		t.Fatalf("writer: %v", err)
	}
	if err := positions.Commit(ctx, map[topic.Partition]topic.Offset{part("a", 0): 1}); !errors.Is(
		err,
		topic.ErrTopicReplaced,
	) {
		t.Fatalf("positions: %v", err)
	}
	d := must(b.Describe(ctx, "a"))(t)
	if d.ID == id || d.Partitions[0].To != 0 {
		t.Fatalf("%+v", d)
	}
}

func TestPositions(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	create(t, b, "a", topic.Config{Partitions: 2})
	tx := must(b.Begin(ctx, "job"))(t)
	if err := tx.Commit(ctx, map[topic.Partition]topic.Offset{part("a", 1): 7, part("elsewhere", 0): 9}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b = open(t, dir)
	parts := []topic.Partition{part("a", 0), part("a", 1)}
	m := must(b.Join(ctx, topic.Group{Name: "job", Tasks: parts}))(t)
	if a := must(m.Next(ctx))(t); !slices.Equal(a.Tasks, parts) {
		t.Fatalf("%+v", a)
	}
	if at := must(m.Committed(ctx, parts...))(t); len(at) != 1 || at[part("a", 1)] != 7 {
		t.Fatalf("%v", at)
	}
	// A recreated topic has no positions.
	b.Delete(ctx, "a")
	create(t, b, "a", topic.Config{})
	if at := must(m.Committed(ctx, parts...))(t); len(at) != 0 {
		t.Fatalf("%v", at)
	}
}

func TestMemberHasAll(t *testing.T) {
	b := open(t, "")
	m := must(b.Join(ctx, topic.Group{Name: "g", Tasks: []topic.Partition{part("c", 0)}}))(t)
	must(m.Next(ctx))(t)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if a, err := m.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the assignment changed: %v, %v", a, err)
	}
	m.Close()
	if _, err := m.Next(ctx); err == nil {
		t.Fatal("next after close: no error")
	}
	// A second member of the group writes under the same id and fences the transactions of the
	// first.
	old := must(m.Begin(ctx))(t)
	must(must(b.Join(ctx, topic.Group{Name: "g"}))(t).Begin(ctx))(t)
	if err := old.Commit(ctx, nil); !errors.Is(err, topic.ErrFenced) {
		t.Fatal(err)
	}
}

func TestOffsetAt(t *testing.T) {
	for _, segment := range []int64{1, 200, 1 << 20} {
		b := open(t, "", SegmentBytes(segment))
		create(t, b, "a", topic.Config{})
		p := part("a", 0)
		var times []int64
		for i := range 50 {
			ms := int64(i*10 + i%3*25) // not ascending
			times = append(times, ms, ms+1)
			write(t, b, p, ms, "x", "y")
		}
		for ms := int64(-5); ms < 600; ms += 3 {
			want := topic.Offset(len(times))
			for i, at := range times {
				if at >= ms {
					want = topic.Offset(i)
					break
				}
			}
			if got := must(b.OffsetAt(ctx, p, ms))(t); got != want {
				t.Fatalf("segments of %d: offset at %d is %d, want %d", segment, ms, got, want)
			}
		}
	}
}

func TestRetention(t *testing.T) {
	now := int64(1000)
	dir := t.TempDir()
	opts := []Option{SegmentBytes(1), Clock(func() int64 { return now })}
	b := open(t, dir, opts...)
	create(t, b, "a", topic.Config{RetentionMs: 100})
	create(t, b, "kept", topic.Config{RetentionMs: -1})
	for i := range 5 {
		write(t, b, part("a", 0), int64(900+i*50), fmt.Sprint(i))
		write(t, b, part("kept", 0), 0, "x")
	}
	slow := must(b.Open(ctx, []topic.Span{{Partition: part("a", 0), To: topic.End}}))(t)
	now = 1101 // timestamps 900, 950 and 1000 are before 1001
	if err := b.Retain(ctx); err != nil {
		t.Fatal(err)
	}
	var gap topic.ErrGap
	if _, err := slow.Poll(ctx); !errors.As(err, &gap) || gap.From != 0 || gap.To != 3 ||
		gap.Partition != part("a", 0) {
		t.Fatalf("reader: %v", err)
	}
	for range 2 {
		if d := must(b.Describe(ctx, "a"))(t); d.Partitions[0].From != 3 || d.Partitions[0].To != 5 {
			t.Fatalf("%+v", d)
		}
		got, _ := drain(t, b, topic.Span{Partition: part("a", 0), From: 3, To: 5})
		same(t, got, []string{"3", "4"})
		if d := must(b.Describe(ctx, "kept"))(t); d.Partitions[0].From != 0 {
			t.Fatalf("%+v", d)
		}
		b.Close()
		b = open(t, dir, opts...)
	}
	now = 5000 // everything is expired; offsets continue
	b.Retain(ctx)
	write(t, b, part("a", 0), 5000, "5")
	got, at := drain(t, b, topic.Span{Partition: part("a", 0), From: 5, To: 6})
	same(t, got, []string{"5"})
	if at[0] != 5 {
		t.Fatal(at)
	}
}

func TestRetentionBySize(t *testing.T) {
	b := open(t, "", SegmentBytes(100), RetentionBytes(300))
	create(t, b, "a", topic.Config{})
	for i := range 20 {
		write(t, b, part("a", 0), 0, fmt.Sprint(i))
	}
	if err := b.Retain(ctx); err != nil {
		t.Fatal(err)
	}
	d := must(b.Describe(ctx, "a"))(t).Partitions[0]
	if d.From < 10 || d.From > 18 || d.To != 20 {
		t.Fatalf("%+v", d)
	}
	got, _ := drain(t, b, d)
	same(t, got, numbers(int(d.From), 20))
}

func TestCompact(t *testing.T) {
	for _, segment := range []int64{1, 150, 1 << 20} {
		dir := t.TempDir()
		b := open(t, dir, SegmentBytes(segment))
		create(t, b, "a", topic.Config{Compact: true})
		create(t, b, "plain", topic.Config{})
		p := part("a", 0)
		for i := range 30 {
			tx := must(b.Begin(ctx, "w"))(t)
			r := topic.Record{
				Key:     fmt.Append(nil, i%3),
				Value:   fmt.Append(nil, i),
				Headers: []topic.Header{{Key: "h", Value: fmt.Append(nil, i)}},
			}
			if i == 7 {
				r.Key = nil
			}
			if i == 29 {
				r.Value = nil // a tombstone
			}
			tx.Write(p, r)
			if err := tx.Commit(ctx, nil); err != nil {
				t.Fatal(err)
			}
		}
		slow := must(b.Open(ctx, []topic.Span{{Partition: p, To: 30}}))(t)
		if err := b.Compact(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if err := b.Compact(ctx, "plain"); err == nil {
			t.Error("compaction of a plain topic: no error")
		}
		for range 2 {
			got, offsets := drain(t, b, topic.Span{Partition: p, To: 30})
			same(t, got, []string{"7", "27", "28", ""})
			if offsets[0] != 7 || offsets[3] != 29 {
				t.Fatal(offsets)
			}
			got, _ = drain(t, b, topic.Span{Partition: p, From: 8, To: 20})
			same(t, got, nil)
			b.Compact(ctx, "a")
		}
		if f := must(slow.Poll(ctx))(t); string(f[0].Value.At(0)) != "7" && segment != 1<<20 {
			t.Fatalf("%q", f[0].Value.At(0))
		}
		write(t, b, p, 0, "30")
		b.Close()
		b = open(t, dir)
		got, _ := drain(t, b, topic.Span{Partition: p, To: 31})
		same(t, got, []string{"7", "27", "28", "", "30"})
		b.Close()
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	tx := must(b.Begin(ctx, "w"))(t).(topic.Keeper)
	if err := tx.Keep(topic.Record{Key: []byte("sa"), Value: []byte("1")}, topic.Record{Key: []byte("sb")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.DB().Get([]byte("sa")); err == nil {
		t.Fatal("kept state is there before the commit")
	}
	if err := tx.Commit(ctx, nil); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b = open(t, dir)
	v, closer, err := b.DB().Get([]byte("sa"))
	if err != nil || string(v) != "1" {
		t.Fatalf("%q, %v", v, err)
	}
	closer.Close()
}

func TestHeadersAndNulls(t *testing.T) {
	b := open(t, "")
	create(t, b, "a", topic.Config{})
	tx := must(b.Begin(ctx, "w"))(t)
	tx.Write(
		part("a", 0),
		topic.Record{},
		topic.Record{Key: []byte{}, Value: []byte{}, Time: -5, Headers: []topic.Header{{Key: "h"}}},
	)
	if err := tx.Commit(ctx, nil); err != nil {
		t.Fatal(err)
	}
	f := must(must(b.Open(ctx, []topic.Span{{Partition: part("a", 0), To: 2}}))(t).Poll(ctx))(t)[0]
	if f.Key.At(0) != nil || f.Value.At(0) != nil || f.Key.At(1) == nil || f.Times[1] != -5 || f.Headers[0] != nil ||
		f.Headers[1][0].Key != "h" {
		t.Fatalf("%+v", f)
	}
}
