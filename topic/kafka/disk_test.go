package kafka

import (
	"testing"

	"github.com/streamql/streamql/topic"
)

// TestSizes: the size of a topic grows with its records. Topics that are not requested, or do
// not exist, have none.
func TestSizes(t *testing.T) {
	c := newCluster(t, nil)
	a, other := c.topic(3, false), c.topic(1, false)
	sizes := func(names ...string) map[string]int64 {
		t.Helper()
		got, err := c.Sizes(t.Context(), names...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	p := c.producer()
	write(t, p, topic.Partition{Topic: other}, 0, 10)
	before := sizes(a, "t-none")
	write(t, p, topic.Partition{Topic: a, ID: 2}, 0, 100)
	after := sizes(a, "t-none")
	if after[a] <= before[a] || len(after) != 1 || len(sizes()) != 0 {
		t.Errorf("%v, then %v", before, after)
	}
}
