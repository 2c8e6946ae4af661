package files

import (
	"context"
	"strings"

	"github.com/streamql/streamql/topic"
)

// Sample returns up to rows records from the beginning of the files. The position of readers does not
// change. The fields of a table are split and without their quotes; any other record is one field.
func (s *Source) Sample(ctx context.Context, rows int) (records [][]string, err error) {
	for _, f := range s.files {
		c := cursor{file: f, to: topic.End}
		for len(records) < rows {
			if err := ctx.Err(); err != nil {
				c.close()
				return nil, err
			}
			var out topic.Fetch
			more, err := c.next(&out)
			if err != nil {
				c.close()
				return nil, err
			}
			if !more {
				break
			}
			for i := 0; i < out.Rows() && len(records) < rows; i++ {
				records = append(records, s.split(f, out.Value.At(i)))
			}
		}
		c.close()
	}
	return records, nil
}

func (s *Source) split(f *file, record []byte) (fields []string) {
	if !s.table {
		return []string{string(record)}
	}
	for spans := f.fieldsOf(nil, record); len(spans) > 0; spans = spans[2:] {
		fields = append(fields, unquoted(string(record[spans[0]:spans[1]])))
	}
	return fields
}

// unquoted removes the quotes around a field and the doubling of quotes in it.
func unquoted(field string) string {
	if len(field) > 1 && field[0] == '"' && field[len(field)-1] == '"' {
		return strings.ReplaceAll(field[1:len(field)-1], `""`, `"`)
	}
	return field
}
