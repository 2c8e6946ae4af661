// Package dialect defines the differences between the dialects of the language. The default
// dialect, streamql, follows the SQL standard and PostgreSQL; ksql follows ksqlDB. Code that
// depends on the dialect checks whether its Set has a Difference, and nothing else.
//
// A difference is a constant of this file, a row of Table, two cases in conformance/cases/dialects,
// and the check in the code that implements it. docs/dialects.md is printed from Table.
package dialect

import "strings"

// The names of the dialects.
const (
	StreamQL = "streamql" // the default
	KSQL     = "ksql"
)

// Names returns the names of the dialects, the default first.
func Names() []string { return []string{StreamQL, KSQL} }

// Difference is a rule of ksqlDB that the default dialect does not have.
type Difference uint8

// The differences, in the order of Table, which describes each of them.
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
	SumsAsKSQL
	RoundsInPlace
	TimesFrom1970
	PushAddsOnly
	GroupsByInput
)

// Set is a dialect: the set of the differences that apply in it. The zero Set is the default
// dialect.
type Set uint32

// Has reports whether a difference applies in the dialect.
func (s Set) Has(d Difference) bool { return s&(1<<d) != 0 }

// With returns the set with one more difference.
func (s Set) With(d Difference) Set { return s | 1<<d }

// Named returns the dialect with a name. The empty name is the default dialect. The second result
// is false if no dialect has the name.
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

// Row describes a difference to users.
type Row struct {
	Difference Difference
	Name       string // a short description, which also names the difference's cases
	StreamQL   string // the behaviour of the default dialect
	KSQL       string // the behaviour of ksql
	Where      string // the files that check it, separated by ", "
	// Test is the Go test of the difference if no case can show it. It is empty for a difference
	// that has the cases "Name: streamql" and "Name: ksql" in conformance/cases/dialects.
	Test string
}

// Markdown returns the text of docs/dialects.md.
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

// cell returns a text as the cell of a Markdown table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

const head = `<!-- Printed from dialect/table.go: go test ./dialect -update -->
# Dialects

The default dialect, ` + "`streamql`" + `, follows the SQL standard and PostgreSQL. ` + "`ksql`" + ` follows
ksqlDB and is meant for files that were written for ksqlDB. Select it with ` + "`--dialect ksql`" + `,
with ` + "`dialect = \"ksql\"`" + ` in the configuration, or with ` + "`streamql.WithDialect(\"ksql\")`" + `. A job
keeps the dialect in which it was defined.

`

const tail = `
` + "`SET 'sql.identifiers'='upper'`" + ` selects only the rule for names from ` + "`ksql`" + `. The shell
command ` + "`\\dialects`" + ` lists the differences.
`
