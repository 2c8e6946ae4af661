package format

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// The column types have short names for the tables of cases.
var (
	structAB = flow.Struct(flow.Field("A", flow.Int), flow.Field("B", flow.String))
	fields   = func(list ...any) (out []arrow.Field) {
		for i := 0; i < len(list); i += 2 {
			out = append(out, flow.Field(list[i].(string), list[i+1].(flow.Type)))
		}
		return out
	}
)

func mustNew(t testing.TB, s Spec) Codec {
	t.Helper()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func records(rows ...string) *topic.Bytes {
	b := &topic.Bytes{}
	for _, r := range rows {
		if r == "<null>" {
			b.Append(nil)
		} else {
			b.Append([]byte(r))
		}
	}
	return b
}

func all(fields []arrow.Field) []int {
	want := make([]int, len(fields))
	for i := range want {
		want[i] = i
	}
	return want
}

// show prints decoded rows as JSON values, one line per row. For a bad row it prints the reason.
func show(cols []arrow.Array, rows int, bad []Bad) string {
	var out strings.Builder
	for row := range rows {
		if len(bad) > 0 && bad[0].Row == row {
			fmt.Fprintf(&out, "bad: %v", bad[0].Reason)
			for _, c := range cols {
				if c.IsValid(row) {
					out.WriteString(" BUT NOT NULL")
				}
			}
			bad = bad[1:]
		} else {
			for i, c := range cols {
				if i > 0 {
					out.WriteByte(' ')
				}
				out.Write(AppendJSON(nil, c, row, 0))
			}
		}
		out.WriteByte('\n')
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func decode(t testing.TB, c Codec, in *topic.Bytes, want []int) string {
	t.Helper()
	cols, bad, err := c.Decode(in, want)
	if err != nil {
		t.Fatal(err)
	}
	for _, col := range cols {
		if col.Len() != in.Len() {
			t.Fatalf("a column has %d rows, not %d", col.Len(), in.Len())
		}
	}
	return show(cols, in.Len(), bad)
}

var carNames = []string{"coolant_temp", "intake_air_temp", "intake_air_flow_speed", "battery_percentage", "battery_voltage",
	"current_draw", "speed", "engine_vibration_amplitude", "throttle_pos", "tire_pressure11", "tire_pressure12", "tire_pressure21",
	"tire_pressure22", "accelerometer11_value", "accelerometer12_value", "accelerometer21_value", "accelerometer22_value",
	"control_unit_firmware"}

// carRecords are rows of 20 fields: a key, 13 doubles, 5 integers and a text.
func carRecords(n int) ([]arrow.Field, *topic.Bytes, []arrow.Array) {
	list := []arrow.Field{flow.Field("car", flow.String)}
	for _, name := range carNames {
		t := flow.Double
		if strings.HasPrefix(name, "tire") || strings.HasPrefix(name, "control") {
			t = flow.Int
		}
		list = append(list, flow.Field(name, t))
	}
	list = append(list, flow.Field("failure_occurred", flow.String))
	r := rand.New(rand.NewPCG(1, 2))
	builders := make([]array.Builder, len(list))
	for i, f := range list {
		builders[i] = flow.Builder(f.Type)
	}
	for row := range n {
		for i, f := range list {
			switch f.Type.ID() {
			case arrow.STRING:
				flow.Append(builders[i], []string{fmt.Sprintf("car-%04d", row%100), "false"}[min(i, 1)])
			case arrow.INT32:
				flow.Append(builders[i], 20+r.Int32N(15))
			default:
				flow.Append(builders[i], r.Float64()*50)
			}
		}
	}
	cols := make([]arrow.Array, len(list))
	for i, b := range builders {
		cols[i] = b.NewArray()
	}
	codec, err := New(Spec{Name: "JSON", Fields: list})
	if err != nil {
		panic(err)
	}
	out := &topic.Bytes{}
	var buf []byte
	for row := range n {
		if buf, err = codec.Encode(buf[:0], cols, row); err != nil {
			panic(err)
		}
		out.Append(buf)
	}
	return list, out, cols
}
