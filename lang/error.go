package lang

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Level is the severity of an Error.
type Level string

// The levels.
const (
	LevelError   Level = "error"   // LevelError means that the statement or the row failed
	LevelWarning Level = "warning" // LevelWarning means that it succeeded, with a remark
	LevelNote    Level = "note"    // LevelNote is information
)

// Stage is the phase in which an Error was found.
type Stage string

// The phases.
const (
	StageParse Stage = "parse" // StageParse is the reading of the text
	StagePlan  Stage = "plan"  // StagePlan is the planning of a statement
	StageRun   Stage = "run"   // StageRun is the processing of rows
)

// Where locates an Error of the run phase. Partition and Offset are meaningful if Topic is set; -1 is unknown.
type Where struct {
	Topic     string `json:"topic,omitempty"`
	Partition int32  `json:"partition,omitempty"`
	Offset    int64  `json:"offset,omitempty"`
	Job       string `json:"job,omitempty"`
	Source    string `json:"source,omitempty"`
}

// Error is a mistake of the user or a failure that the user must know of. The shell, HTTP, Postgres and the Go API
// use the same form. Code is SQ and four digits, never reused; every code has a page in package codes. The zero
// Pos is unknown.
type Error struct {
	Code  string
	Level Level // the zero value is LevelError
	Stage Stage
	Stmt  int // the statement's number in its text, from 1; 0: none
	Pos   Pos
	Len   int    // runes to underline from Pos; 0 underlines one
	Msg   string // the mistake or the failure, a sentence without a capital or a full stop
	Label string // the text under the caret
	Hint  string // the cure
	Notes []string
	Where Where
	Err   error // the cause, or nil
}

// Error returns the error on one line: code, message, label and position.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code)
	b.WriteString(": ")
	b.WriteString(e.Msg)
	if e.Label != "" {
		b.WriteString(": " + e.Label)
	}
	if e.Pos.Line > 0 {
		b.WriteString(" (" + e.Pos.String() + ")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// String returns file:line:col, without the file if there is none, and - for the zero Pos.
func (p Pos) String() string {
	if p.Line == 0 {
		return "-"
	}
	at := strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
	if p.File != "" {
		at = p.File + ":" + at
	}
	return at
}

// MarshalJSON returns the form for HTTP, -o json and editors. It omits fields without a value.
func (e *Error) MarshalJSON() ([]byte, error) {
	var where *Where
	if e.Where != (Where{}) {
		where = &e.Where
	}
	return json.Marshal(struct {
		Code      string   `json:"code"`
		Level     Level    `json:"level"`
		Stage     Stage    `json:"stage,omitempty"`
		Statement int      `json:"statement,omitempty"`
		Message   string   `json:"message"`
		Label     string   `json:"label,omitempty"`
		File      string   `json:"file,omitempty"`
		Line      int      `json:"line,omitempty"`
		Column    int      `json:"column,omitempty"`
		Length    int      `json:"length,omitempty"`
		Hint      string   `json:"hint,omitempty"`
		Notes     []string `json:"notes,omitempty"`
		Where     *Where   `json:"where,omitempty"`
	}{e.Code, e.level(), e.Stage, e.Stmt, e.Msg, e.Label, e.Pos.File, e.Pos.Line, e.Pos.Col, e.Len, e.Hint, e.Notes,
		where})
}

func (e *Error) level() Level {
	if e.Level == "" {
		return LevelError
	}
	return e.Level
}

// The colours of a shown error, as terminal escapes.
const (
	bold, red, yellow, blue, plain = "\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[0m"
)

// Show returns the error over several lines: the message, the position, the source line with the mistake
// underlined, notes and help. source is the text that the error's position refers to; if it is empty, the line is
// omitted. color adds terminal colours. The last line ends with a newline. Show omits the source line if its
// statement contains the word SECRET, because the line may contain a password.
func (e *Error) Show(source string, color bool) string {
	paint := func(c, s string) string {
		if !color || s == "" {
			return s
		}
		return c + s + plain
	}
	tone := red
	switch e.level() {
	case LevelWarning:
		tone = yellow
	case LevelNote:
		tone = blue
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n", paint(tone, string(e.level())+"["+e.Code+"]"), paint(bold, ": "+e.Msg))
	if e.Pos.Line > 0 {
		fmt.Fprintf(&b, "  %s %s\n", paint(blue, "-->"), e.Pos)
	}
	line, ok := sourceLine(source, e.Pos)
	switch {
	case ok:
		text, indent, width := excerpt(line, e.Pos.Col, e.Len)
		head := fmt.Sprintf("%3d | ", e.Pos.Line)
		fmt.Fprintf(&b, "%s%s\n", paint(blue, head), text)
		under := strings.Repeat("^", width)
		if e.Label != "" {
			under += " " + e.Label
		}
		margin := paint(blue, strings.Repeat(" ", len(head)-2)+"| ")
		fmt.Fprintf(&b, "%s%s%s\n", margin, strings.Repeat(" ", indent), paint(tone, under))
	case e.Label != "":
		fmt.Fprintf(&b, "  %s\n", e.Label)
	}
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "  %s %s\n", paint(bold, "help:"), e.Hint)
	}
	return b.String()
}

// sourceLine returns the line of source that contains p. It returns false if p is outside of source or the line
// may contain a secret.
func sourceLine(source string, p Pos) (string, bool) {
	if p.Line == 0 || source == "" || p.Offset > len(source) {
		return "", false
	}
	from := strings.LastIndexByte(source[:p.Offset], '\n') + 1
	to := len(source)
	if n := strings.IndexByte(source[p.Offset:], '\n'); n >= 0 {
		to = p.Offset + n
	}
	begin := strings.LastIndexByte(source[:from], ';') + 1
	end := len(source)
	if n := strings.IndexByte(source[to:], ';'); n >= 0 {
		end = to + n
	}
	if strings.Contains(strings.ToUpper(source[begin:end]), "SECRET") {
		return "", false
	}
	return strings.TrimSuffix(source[from:to], "\r"), true
}

// excerpt cuts a long line around the position and replaces control characters by blanks. It returns the text, the
// column of the underline and its width, in runes.
func excerpt(line string, col, length int) (text string, indent, width int) {
	const widest, before = 120, 60
	runes := []rune(strings.ToValidUTF8(line, "?"))
	for i, r := range runes {
		if r < ' ' || r == 0x7f {
			runes[i] = ' '
		}
	}
	indent = min(max(col-1, 0), len(runes))
	width = max(length, 1)
	if from := indent - before; len(runes) > widest && from > 0 {
		runes, indent = append([]rune("..."), runes[from:]...), before+3
	}
	if len(runes) > widest {
		runes = append(runes[:widest:widest], '.', '.', '.')
	}
	return string(runes), indent, max(1, min(width, len(runes)-indent))
}

// Errors is the list of errors of one text, in the order of their positions. It wraps all of them.
type Errors []*Error

// Error returns every error on a line of its own.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors one by one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, err := range e {
		out[i] = err
	}
	return out
}

// AsErrors returns the errors of this package that err is or wraps, in order; nil if there are none.
func AsErrors(err error) Errors {
	var many Errors
	if errors.As(err, &many) {
		return many
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}
	}
	return nil
}

// Suggest returns the word of legal that is nearest to word, or "" if none is near. The measure is the edit
// distance, where a swap of neighbours counts one and case does not count. The distance may be at most 2 or a
// third of the word's length, whichever is more; 1 for a word of three characters or fewer. Of several equals
// Suggest returns the first.
func Suggest(word string, legal []string) string {
	n := utf8.RuneCountInString(word)
	if n == 0 || n > 249 {
		return ""
	}
	limit := max(2, n/3)
	if n <= 3 {
		limit = 1
	}
	best, found := limit+1, ""
	folded := []rune(strings.ToUpper(word))
	for _, l := range legal {
		other := []rune(strings.ToUpper(l))
		if d := len(other) - len(folded); d >= best || -d >= best {
			continue
		}
		if d := distance(folded, other); d < best && d < max(len(folded), len(other)) {
			best, found = d, l
		}
	}
	return found
}

// distance returns the optimal string alignment distance: insertions, deletions, substitutions and swaps of
// neighbours.
func distance(a, b []rune) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

// didYouMean returns a label that suggests the nearest word of legal, or other if none is near.
func didYouMean(word string, legal []string, other string) string {
	if s := Suggest(word, slices.Compact(legal)); s != "" && !strings.EqualFold(s, word) {
		return "did you mean " + s + "?"
	}
	return other
}
