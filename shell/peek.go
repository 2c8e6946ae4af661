package shell

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// newest returns the newest n records of a topic, ordered by timestamp. The topic is named directly or by its
// stream or table.
func newest(ctx context.Context, e *streamql.Engine, name string, n int64) (*flow.Batch, error) {
	d, err := e.Broker().Describe(ctx, name)
	if err != nil {
		r, ok := e.Catalog().Relation(name, false)
		if ok {
			d, err = e.Broker().Describe(ctx, r.Topic)
		}
	}
	if err != nil {
		return nil, &lang.Error{Code: "SQ5004", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("topic %q does not exist at the broker", visible(name)), Hint: `\topics lists them`, Err: err}
	}
	for i := range d.Partitions {
		d.Partitions[i].From = max(d.Partitions[i].From, d.Partitions[i].To-topic.Offset(n))
	}
	records, err := readRecords(ctx, e.Broker(), d.Partitions)
	if err != nil {
		return nil, err
	}
	sort.SliceStable(records, func(i, j int) bool { return records[i].time < records[j].time })
	return batchOf(records[max(0, len(records)-int(n)):]), nil
}

func batchOf(records []peeked) *flow.Batch {
	fields := []arrow.Field{flow.Field("partition", flow.Int), flow.Field("offset", flow.Bigint), flow.Field("rowtime",
		flow.Timestamp),
		flow.Field("key", flow.String), flow.Field("value", flow.String)}
	builders := make([]array.Builder, len(fields))
	for i, f := range fields {
		builders[i] = flow.Builder(f.Type)
	}
	for _, r := range records {
		for i, v := range []any{r.partition, int64(r.offset), arrow.Timestamp(r.time), printable(r.key), printable(r.value)} {
			flow.Append(builders[i], v)
		}
	}
	cols := make([]arrow.Array, len(fields))
	for i, b := range builders {
		cols[i] = b.NewArray()
	}
	return flow.NewBatch(flow.NewSchema(fields), cols, len(records), nil)
}

func printable(b []byte) any {
	if b == nil {
		return nil
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

type peeked struct {
	partition  int32
	offset     topic.Offset
	time       int64
	key, value []byte
}

func readRecords(ctx context.Context, src topic.Source, spans []topic.Span) (out []peeked, err error) {
	err = topic.Each(ctx, src, spans, func(f *topic.Fetch, i int) error {
		out = append(out, peeked{f.ID, f.Offsets[i], f.Times[i], f.Key.At(i), f.Value.At(i)})
		return nil
	})
	return out, err
}
