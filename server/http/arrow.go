package http

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/result"
)

// stream writes Arrow's IPC stream: the schema, then a record batch for each batch. NaN stays NaN.
type stream struct {
	*result.Page
	schema *arrow.Schema
	out    *ipc.Writer
}

func newStream(p *result.Page) result.Writer {
	s := &stream{Page: p}
	var fields []arrow.Field
	if p.Changes {
		fields = append(fields, arrow.Field{Name: "_op", Type: flow.String})
	}
	for i, name := range p.Names() {
		fields = append(fields, flow.Field(name, p.Columns[i].Type))
	}
	s.schema = arrow.NewSchema(fields, nil)
	s.out = ipc.NewWriter(p.Writer, ipc.WithSchema(s.schema))
	return s
}

// Print sends a batch.
func (s *stream) Print(b *flow.Batch) error {
	rows, cols := b.Rows(), b.Columns()
	if s.Changes {
		shown := s.Rows(b)
		rows = len(shown)
		take, ops := make([]int32, rows), array.NewStringBuilder(flow.Mem)
		for i, c := range shown {
			take[i] = int32(c.Row)
			ops.Append(c.Op)
		}
		cols = append([]arrow.Array{ops.NewArray()}, b.Take(take).Columns()...)
	}
	if err := s.out.Write(array.NewRecord(s.schema, cols[:s.schema.NumFields()], int64(rows))); err != nil {
		return err
	}
	return s.Flush()
}

// Close ends the stream; a stream without rows contains its schema.
func (s *stream) Close() error {
	if err := s.out.Close(); err != nil {
		return err
	}
	return s.Flush()
}

// Lost returns 0: Arrow represents every value.
func (s *stream) Lost() int64 { return 0 }
