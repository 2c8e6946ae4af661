package format

import (
	"fmt"
	"strings"
	"testing"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"

	"github.com/apache/arrow/go/v15/arrow"
)

// TestOwnSizeOfLargeRecords checks that the reason of each oversized record has the size of that record.
func TestOwnSizeOfLargeRecords(t *testing.T) {
	c, err := New(Spec{Name: "json", Fields: []arrow.Field{{Name: "v", Type: flow.Bigint, Nullable: true}}})
	if err != nil {
		t.Fatal(err)
	}
	var in topic.Bytes
	in.Append([]byte("{"))
	for i := range 3 {
		in.Append([]byte(strings.Repeat(" ", maxRecord+1+i)))
	}
	_, bad, err := c.Decode(&in, []int{0})
	if err != nil || len(bad) != 4 {
		t.Fatalf("%v, %v", bad, err)
	}
	for i, b := range bad[1:] {
		if want := fmt.Sprintf("the record has %d bytes, the limit is 16 MiB", maxRecord+1+i); b.Reason.Error() != want {
			t.Errorf("%v, want %s", b.Reason, want)
		}
	}
}
