package local

import (
	"maps"
	"testing"

	"github.com/streamql/streamql/topic"
)

// TestSizes: committed bytes count; deleted topics and topics that were not requested do not.
func TestSizes(t *testing.T) {
	b := open(t, "")
	for _, name := range []string{"a", "b", "c"} {
		create(t, b, name, topic.Config{Partitions: 2})
	}
	write(t, b, part("a", 0), 1, "one", "two")
	before := must(b.Sizes(t.Context(), "a"))(t)["a"]
	write(t, b, part("a", 1), 1, "three")
	if err := b.Delete(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	got := must(b.Sizes(t.Context(), "a", "b", "c", "none"))(t)
	if before <= 0 || got["a"] <= before || !maps.Equal(got, map[string]int64{"a": got["a"], "b": 0}) {
		t.Errorf("%d bytes, then %v", before, got)
	}
}
