// Package dialect is the one place that says in what the dialects of the language differ. The default dialect,
// streamql, does as the SQL standard and PostgreSQL; ksql does as ksqlDB. What depends on the dialect asks a Set
// whether it Has a Difference, and asks nothing else.
//
// A difference is a constant here, a row of Table, two cases in conformance/cases/dialects, and the line that asks for
// it. docs/dialects.md is printed from Table.
package dialect

import "strings"

// The names of the dialects.
const (
	StreamQL = "streamql" // the default
	KSQL     = "ksql"
)

// Names lists the dialects, the default first.
func Names() []string { return []string{StreamQL, KSQL} }

// Difference is a rule of ksqlDB that the default dialect does not have.
type Difference uint8

// The differences. Table says what each one is.
const (
	UpperNames Difference = iota
	TopicRequired
	FormatRequired
	TimestampFormatRequired
	HeaderBytes
	NullComparesFalse
	NullConcatEmpty
	NullNeedsType
	LikeTakesAnyEscape
	PullNeedsJob
	JobsBeginAtEnd
	TimesAsNumbers
)

// Set is a dialect: the differences that hold in it. The zero Set is the default dialect.
type Set uint32

// Has reports whether a difference holds.
func (s Set) Has(d Difference) bool { return s&(1<<d) != 0 }

// With is the set with a difference more.
func (s Set) With(d Difference) Set { return s | 1<<d }

// Named returns the dialect of a name; "" is the default. The last result is false if there is none.
func Named(name string) (Set, bool) {
	switch name {
	case "", StreamQL:
		return 0, true
	case KSQL:
		all := Set(0)
		for _, r := range Table {
			all = all.With(r.Difference)
		}
		return all, true
	}
	return 0, false
}

// Row is a difference in words.
type Row struct {
	Difference Difference
	Name       string // short, for people; cases are called by it
	StreamQL   string // what the default dialect does
	KSQL       string // what ksql does
	Where      string // the file that asks
	// Test is the Go test that holds the difference, where no case can; "": the cases "Name: streamql" and "Name: ksql"
	// of conformance/cases/dialects hold it.
	Test string
}

// Markdown is docs/dialects.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("| what | `streamql` | `ksql` |\n|---|---|---|\n")
	for _, r := range Table {
		b.WriteString("| " + cell(r.Name) + " | " + cell(r.StreamQL) + " | " + cell(r.KSQL) + " |\n")
	}
	b.WriteString(tail)
	return b.String()
}

// cell is a text within a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

const head = `<!-- Printed from dialect/table.go: go test ./dialect -update -->
# Dialects

The default dialect, ` + "`streamql`, does as the SQL standard and PostgreSQL. `ksql` does as ksqlDB" + `: choose it for files that were
written for ksqlDB, with ` + "`--dialect ksql`" + `, with ` + "`dialect = \"ksql\"`" + ` in the configuration, or with ` + "`streamql.WithDialect(\"ksql\")`" + `. A job
keeps the dialect that it was defined in.

`

const tail = `
` + "`SET 'sql.identifiers'='upper'`" + ` takes the names alone from ` + "`ksql`" + `. In the shell ` + "`\\dialects`" + ` lists the differences.
`
