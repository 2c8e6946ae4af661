// Package shell is the terminal interface: results as tables, JSON or CSV, progress, and the line editor with
// its commands. It uses the engine through its public API and does not interpret SQL.
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

// Formats lists the formats that NewPrinter supports.
var Formats = []string{"table", "jsonl", "json", "csv"}

// Look configures how results are displayed.
type Look struct {
	Format   string // one of Formats
	Width    int    // columns of the terminal; 0: no terminal, and nothing is truncated
	Color    bool
	Expanded bool // one column per line in a table
	Dialect  dialect.Set
}

func (l Look) style() format.Style {
	if l.Dialect.Has(dialect.TimesAsNumbers) {
		return format.NaNNull
	}
	return format.ISOTimes | format.NaNNull
}

// Printer writes the result of one query. A bounded table buffers rows until its column widths are decided.
type Printer = result.Writer

// NewPrinter returns the printer of a result. Error: SQ3010 if the format requires a bounded result and this
// one is not.
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
			return nil, &streamql.Error{Code: "SQ3010", Stage: lang.StagePlan,
				Msg:  "format json needs a query that ends, because the result is one JSON array",
				Hint: "use -o jsonl, or bound the query with UNTIL NOW or LIMIT"}
		}
		return result.Document(page), nil
	}
	err := &streamql.Error{Code: "SQ1103", Stage: lang.StagePlan,
		Msg: fmt.Sprintf("there is no output format %q; there are %v", look.Format, Formats)}
	if near := lang.Suggest(look.Format, Formats); near != "" {
		err.Label = "did you mean " + near + "?"
	}
	return nil, err
}

// rightAligned reports whether values of a type are aligned on the right.
func rightAligned(t flow.Type) bool { return flow.IsNumber(t) }

// ratio returns a part of a whole in per cent.
func ratio(part, whole int64) float64 {
	if whole <= 0 {
		return 100
	}
	return math.Min(100, 100*float64(part)/float64(whole))
}
