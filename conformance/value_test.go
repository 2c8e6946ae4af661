package conformance

import (
	"encoding/json"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

func TestSame(t *testing.T) {
	decimal := flow.Decimal(4, 2)
	for _, c := range []struct {
		got, want string
		typ       arrow.DataType
		same      bool
	}{
		{`1`, `1`, nil, true},
		{`1`, `2`, nil, false},
		{`1.0`, `1`, nil, true},
		{`9007199254740993`, `9007199254740992`, nil, false},
		{`1.0000001`, `1.0`, nil, true},
		{`1.00001`, `1.0`, nil, false},
		{`1.0E10`, `10000000000`, nil, true},
		{`10000000001.0`, `10000000000.0`, nil, true},
		{`1e999999999`, `1e999999998`, nil, false},
		{`1.01`, `1.010`, decimal, true},
		{`1.0000001`, `1.0`, decimal, false},
		{`1.50`, `"1.50"`, nil, true},
		{`1.5`, `"1.50"`, nil, false},
		{`"1"`, `1`, nil, false},
		{`true`, `true`, nil, true},
		{`1`, `true`, nil, false},
		{`null`, `null`, nil, true},
		{`0`, `null`, nil, false},
		{`null`, `0`, nil, false},
		{`"a"`, `"A"`, nil, false},
		{`[1,2]`, `[1,2]`, nil, true},
		{`[1]`, `[1,2]`, nil, false},
		{`[1.0000001]`, `[1.0]`, flow.Array(decimal), false},
		{`{"a":1}`, `{"A":1}`, nil, true},
		{`{"a":1,"A":2}`, `{"A":2,"a":1}`, nil, true},
		{`{"a":1,"b":null}`, `{"a":1}`, nil, false},
		{`{"a":1.0000001}`, `{"a":1.0}`, flow.Struct(flow.Field("a", decimal)), false},
		{`{"a":1.0000001}`, `{"a":1.0}`, flow.Map(flow.String, flow.Double), true},
		{`{"a":1}`, `[1]`, nil, false},
	} {
		got, err := value(json.RawMessage(c.got))
		if err != nil {
			t.Fatal(err)
		}
		want, err := value(json.RawMessage(c.want))
		if err != nil {
			t.Fatal(err)
		}
		if same := (comparer{}).same(got, want, c.typ); same != c.same {
			t.Errorf("%s for %s (%v): %v", c.got, c.want, c.typ, same)
		}
	}
}
