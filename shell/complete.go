package shell

import (
	"slices"
	"strings"
	"unicode"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// Complete reports whether a text can be run as it is: it is empty, or it ends with a semicolon outside
// strings, quoted names and comments.
func Complete(text string) bool {
	ended, blank := false, true
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case strings.HasPrefix(text[i:], "--"):
			n := strings.IndexByte(text[i:], '\n')
			if n < 0 {
				return ended || blank
			}
			i += n
		case strings.HasPrefix(text[i:], "/*"):
			n := strings.Index(text[i+2:], "*/")
			if n < 0 {
				return false
			}
			i += n + 3
		case c == '\'' || c == '"' || c == '`':
			// a doubled quote reads as the end of one string and the start of another, which is equivalent
			// here
			n := strings.IndexByte(text[i+1:], c)
			if n < 0 {
				return false
			}
			i += n + 1
			ended, blank = false, false
		case c == ';':
			ended, blank = true, false
		case !unicode.IsSpace(rune(c)):
			ended, blank = false, false
		}
	}
	return ended || blank
}

// Candidate is a completion: a word, and its kind, e.g. keyword, source or column.
type Candidate struct{ Word, Kind string }

// Candidates returns the completions of the last word of a text. They depend on the words before it: sources
// after FROM, otherwise columns of the sources that the text names, functions, models and keywords. It reads
// the catalog in memory only and does not wait.
func Candidates(e *streamql.Engine, text string) []Candidate {
	start := len(text)
	for start > 0 && wordByte(text[start-1]) {
		start--
	}
	prefix, before := strings.ToUpper(text[start:]), tokens(text[:start])
	if start > 0 && text[start-1] == '\\' {
		return metaWords(strings.ToLower(prefix))
	}
	var out []Candidate
	add := func(kind string, words ...string) {
		for _, w := range words {
			c := Candidate{w, kind}
			if strings.HasPrefix(strings.ToUpper(w), prefix) && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	last := ""
	if len(before) > 0 {
		last = before[len(before)-1]
	}
	switch {
	case len(lang.Next(statement(before)...)) > 0: // the first words of a statement
		add("keyword", lang.Next(statement(before)...)...)
		if last == "DESCRIBE" {
			add("source", sources(e)...)
			add("model", models(e)...)
		}
	case last == "FROM" || last == "JOIN" || last == "INTO":
		add("source", sources(e)...)
		add("model", models(e)...)
	case last == "MODEL":
		add("model", models(e)...)
	case inWith(before):
		add("option", options(e)...)
	case last == "=" && len(before) > 1 && before[len(before)-2] == "CONNECTOR":
		add("connector", quoted(e.Connectors().Names())...)
	case last == "=" && len(before) > 1 && slices.Contains(formatOptions, before[len(before)-2]):
		add("format", quoted(e.Formats().Names())...)
	default:
		add("column", columns(e, tokens(text))...)
		add("model", models(e)...)
		if prefix != "" {
			for _, f := range e.Functions().All() {
				add("function", f.Name)
			}
			add("source", sources(e)...)
		}
		add("keyword", clauseWords...)
	}
	return out
}

// statement returns the words after the last semicolon.
func statement(words []string) []string {
	for i := len(words) - 1; i >= 0; i-- {
		if words[i] == ";" {
			return words[i+1:]
		}
	}
	return words
}

func wordByte(c byte) bool {
	return c == '_' || c == '.' || c == '$' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' ||
		c >= 0x80
}

// tokens returns the words of a text in upper case, and its punctuation. String literals are left out.
func tokens(text string) []string {
	var out []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'':
			n := strings.IndexByte(text[i+1:], c)
			if n < 0 {
				return out
			}
			i += n + 2
		case wordByte(c):
			j := i
			for j < len(text) && wordByte(text[j]) {
				j++
			}
			out = append(out, strings.ToUpper(text[i:j]))
			i = j
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		default:
			out = append(out, string(c))
			i++
		}
	}
	return out
}

// inWith reports whether the next token is the name of a WITH option.
func inWith(before []string) bool {
	depth := 0
	for i := len(before) - 1; i >= 0; i-- {
		switch before[i] {
		case ")":
			depth++
		case "(":
			if depth == 0 {
				last := before[len(before)-1]
				return i > 0 && before[i-1] == "WITH" && (last == "(" || last == ",")
			}
			depth--
		case ";":
			return false
		}
	}
	return false
}

func sources(e *streamql.Engine) (out []string) {
	for _, r := range e.Catalog().Relations() {
		out = append(out, r.Name)
	}
	return append(out, "streamql.jobs", "streamql.metrics", "streamql.models")
}

func models(e *streamql.Engine) (out []string) {
	for _, m := range e.Catalog().Models() {
		out = append(out, m.Name)
	}
	return out
}

// columns returns the columns of the sources that a text names. If it names none, it returns the columns of
// all sources, because SELECT is written before FROM.
func columns(e *streamql.Engine, words []string) []string {
	var named, all []string
	for _, r := range e.Catalog().Relations() {
		var names []string
		for _, c := range r.Columns {
			names = append(names, c.Name)
		}
		if slices.Contains(words, strings.ToUpper(r.Name)) {
			named = append(named, names...)
		}
		if !strings.HasPrefix(r.Name, "streamql.") {
			all = append(all, names...)
		}
	}
	if named == nil {
		named = all
	}
	if named == nil {
		return nil
	}
	return append(named, "ROWTIME", "ROWPARTITION", "ROWOFFSET")
}

// options are the options that a WITH clause may have.
func options(e *streamql.Engine) []string {
	names := append(planner.OptionNames(e.Connectors(), e.Formats()), modelOptions...)
	for i := range names {
		names[i] += "="
	}
	return names
}

func quoted(names []string) []string {
	for i := range names {
		names[i] = "'" + names[i] + "'"
	}
	return names
}

var (
	clauseWords = []string{"SELECT", "FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "EMIT CHANGES",
		"EMIT FINAL", "PARTITION BY", "WINDOW",
		"TUMBLING", "HOPPING", "SESSION", "SIZE", "ADVANCE BY", "GRACE PERIOD", "SINCE", "UNTIL", "EARLIEST", "LATEST",
		"NOW", "AGO", "TIMESTAMP",
		"OFFSET", "PARTITIONS", "JOIN", "LEFT JOIN", "INNER JOIN", "FULL OUTER JOIN", "WITHIN", "ON", "AS", "AND", "OR",
		"NOT", "IN", "BETWEEN", "LIKE",
		"IS NULL", "IS NOT NULL", "CASE", "WHEN", "THEN", "ELSE", "END", "CAST", "DISTINCT", "UNION ALL", "ASC", "DESC",
		"INTO", "VALUES", "WITH",
		"TRANSFORM", "TARGET", "TRAIN ONCE", "TRAIN EACH EVENT", "TRAIN EACH WINDOW", "EXCEPT", "EVALUATE", "PREDICT",
		"ANOMALY_SCORE", "IS_ANOMALY",
		"MODEL_VERSION", "STREAM", "TABLE", "MODEL", "KEY", "PRIMARY KEY", "STRING", "INT", "BIGINT", "DOUBLE", "BOOLEAN",
		"DECIMAL", "TIMESTAMP", "BYTES",
		"ARRAY", "MAP", "STRUCT", "MINUTES", "SECONDS", "HOURS", "DAYS", "NULL", "TRUE", "FALSE"}
	formatOptions = []string{"FORMAT", "KEY_FORMAT", "VALUE_FORMAT"}
	modelOptions  = []string{"type", "layers", "epochs", "batch_size", "threshold"}
)
