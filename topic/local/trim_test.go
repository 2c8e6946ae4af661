package local

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/streamql/streamql/topic"
)

// TestTrim: a partition begins at the offset it was trimmed to, also within a segment and after
// reopening the broker. Files that are no longer needed are deleted.
func TestTrim(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	p := part("a", 0)
	create(t, b, "a", topic.Config{SegmentBytes: 250, Compact: true})
	create(t, b, "large", topic.Config{})
	for i := range 20 {
		write(t, b, p, 0, numbers(i, i+1)...)
		write(t, b, part("large", 0), 0, "x")
	}
	files := func() int {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	before := files()
	if before < 6 { // segments of three batches, and one of the other topic
		t.Fatalf("%d files", before)
	}
	slow := must(b.Open(ctx, []topic.Span{{Partition: p, To: topic.End}}))(t)
	for _, step := range []struct{ at, begin topic.Offset }{{4, 4}, {2, 4}, {13, 13}} { // it never moves back
		if err := b.Trim(ctx, map[topic.Partition]topic.Offset{p: step.at}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			d := must(b.Describe(ctx, "a"))(t).Partitions[0]
			if d.From != step.begin || d.To != 20 {
				t.Fatalf("%+v", d)
			}
			got, _ := drain(t, b, d)
			same(t, got, numbers(int(step.begin), 20))
			if step.at == 4 {
				var gap topic.ErrGap
				if _, err := slow.Poll(ctx); !errors.As(err, &gap) || gap.From != 0 || gap.To != 4 {
					t.Fatalf("reader: %v", err)
				}
				break
			}
			b.Close()
			b = open(t, dir)
		}
	}
	if after := files(); after >= before-3 {
		t.Errorf("%d files of %d are left", after, before)
	}
	if err := b.Compact(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	write(t, b, p, 0, "20")
	got, _ := drain(t, b, topic.Span{Partition: p, From: 13, To: 21})
	same(t, got, numbers(13, 21))
	if err := b.Trim(ctx, map[topic.Partition]topic.Offset{p: 21}); err != nil {
		t.Fatal(err)
	}
	write(t, b, p, 0, "21")
	got, at := drain(t, b, topic.Span{Partition: p, From: 21, To: 22})
	if same(t, got, []string{"21"}); at[0] != 21 {
		t.Errorf("offsets %v", at)
	}
	if err := b.Trim(ctx, map[topic.Partition]topic.Offset{p: 23}); err == nil {
		t.Error("after the end: no error")
	}
	if err := b.Trim(ctx, map[topic.Partition]topic.Offset{part("b", 0): 1}); !errors.Is(err, topic.ErrUnknownTopic) {
		t.Errorf("no topic: %v", err)
	}
}
