// Package shell is what a person at a terminal meets: results as tables, JSON or CSV, progress, and the line editor with its commands.
// It is a caller of the engine like any other; nothing here decides what a statement means.
package shell

import (
	"fmt"
	"io"
	"math"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/result"
)

// Formats are the names of the formats that NewPrinter knows.
var Formats = []string{"table", "jsonl", "json", "csv"}

// Look is how results are shown.
type Look struct {
	Format   string // one of Formats
	Width    int    // columns of the terminal; 0: there is none, and nothing is cut
	Color    bool
	Expanded bool // a table shows one column a line
	Dialect  dialect.Set
}

func (l Look) style() format.Style {
	if l.Dialect.Has(dialect.TimesAsNumbers) {
		return format.NaNNull
	}
	return format.ISOTimes | format.NaNNull
}

// Printer writes the result of one query. A bounded table holds rows until its widths are known.
type Printer = result.Writer

// NewPrinter makes the printer for a result. Error: SQ3010 when the format needs an end and the result has none.
func NewPrinter(w io.Writer, rows *streamql.Rows, look Look) (Printer, error) {
	page := result.NewPage(w, rows.Columns, rows.Changes, look.style())
	switch look.Format {
	case "table", "":
		return newTable(page, look, rows.Bounded), nil
	case "jsonl":
		return result.Lines(page), nil
	case "csv":
		return result.Sheet(page), nil
	case "json":
		if !rows.Bounded {
			return nil, &streamql.Error{Code: "SQ3010", Stage: lang.StagePlan, Msg: "format json needs a query that ends: one JSON array is written as a whole",
				Hint: "use -o jsonl, or bound the query with UNTIL NOW or LIMIT"}
		}
		return result.Document(page), nil
	}
	err := &streamql.Error{Code: "SQ1103", Stage: lang.StagePlan, Msg: fmt.Sprintf("there is no output format %q; there are %v", look.Format, Formats)}
	if near := lang.Suggest(look.Format, Formats); near != "" {
		err.Label = "did you mean " + near + "?"
	}
	return nil, err
}

// rightAligned reports whether a type's values are read from the right.
func rightAligned(t flow.Type) bool { return flow.IsNumber(t) }

// ratio is a part of a whole in per cent, for progress.
func ratio(part, whole int64) float64 {
	if whole <= 0 {
		return 100
	}
	return math.Min(100, 100*float64(part)/float64(whole))
}
