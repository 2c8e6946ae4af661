package streamql_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/streamql/streamql/flow"
)

// TestIntegerArguments passes every kind of integer as a parameter.
func TestIntegerArguments(t *testing.T) {
	e := open(t)
	for _, v := range []any{7, int8(7), int16(7), int32(7), int64(7), uint(7), uint8(7), uint16(7), uint32(7), uint64(7)} {
		rows, err := e.Query(context.Background(), "SELECT $1 + 1 AS x;", v)
		if err != nil {
			t.Errorf("%T: %v", v, err)
			continue
		}
		for b, err := range rows.Batches() {
			if err != nil {
				t.Errorf("%T: %v", v, err)
			} else if got := fmt.Sprint(flow.Value(b.Column(0), 0)); got != "8" {
				t.Errorf("%T: %s", v, got)
			}
		}
	}
	if _, err := e.Query(context.Background(), "SELECT $1 AS x;", uint64(math.MaxUint64)); err == nil {
		t.Error("a number beyond BIGINT is accepted")
	}
}
