package lang

import (
	"reflect"
	"regexp"
	"strings"
)

// Statement is one statement of a text: a pointer to one of the statement types of this package.
type Statement interface {
	Node
	// End returns the position directly after the statement's last token, before its semicolon.
	End() Pos
	// Number returns the statement's number in its text, from 1. Statements with errors count, too.
	Number() int
	// Text returns the source from Position to End, with the comments in it.
	Text() string
	// Traits returns the facts about the statement that need no catalog.
	Traits() Traits
	// names lists the names of all statements of the type, by their first words. It ignores its receiver, which may be
	// nil.
	names() []string
	origin() *Origin
}

// Traits are the facts about a statement that its text alone determines. Package engine declares how a statement
// is executed.
type Traits struct {
	Name    string // as users write it: SHOW JOBS, CREATE STREAM
	Effect  Effect // the object of its changes
	Rows    bool   // it returns rows
	Bounded bool   // its text bounds it. The plan may bound a query without LIMIT
	Plan    bool   // it has a plan, which EXPLAIN shows
	Trains  *Name  // the model that it trains; nil: none
}

// Effect is the kind of change that a statement makes.
type Effect int

// The effects.
const (
	Asks    Effect = iota // Asks changes nothing: a query, SHOW, DESCRIBE
	Sets                  // Sets changes the settings of its own session
	Writes                // Writes adds records to a topic
	Defines               // Defines changes the catalog
)

// shows returns the traits of a statement that shows something.
func shows(name string) Traits { return Traits{Name: name, Rows: true, Bounded: true} }

// sets returns the traits of a statement that changes its session.
func sets(name string) Traits { return Traits{Name: name, Effect: Sets, Bounded: true} }

// defines returns the traits of a statement that changes the catalog.
func defines(name string) Traits { return Traits{Name: name, Effect: Defines, Bounded: true} }

// Origin is the source of a statement. Every statement embeds it.
type Origin struct {
	Pos    Pos `parser:"@@"`
	end    Pos
	number int
	text   string
}

// Position returns the position at which the statement's first token starts.
func (o *Origin) Position() Pos { return o.Pos }

// End returns the position directly after the statement's last token.
func (o *Origin) End() Pos { return o.end }

// Number returns the statement's number in its text, from 1.
func (o *Origin) Number() int { return o.number }

// Text returns the statement's own source, without the semicolon that ends it.
func (o *Origin) Text() string { return o.text }

func (o *Origin) origin() *Origin { return o }

// Keyword is a word of the grammar, or several words separated by one blank, in capitals.
type Keyword string

// Setting is name = value in a WITH clause. A name in quotes or written as a string literal is Quoted. Names with
// dots keep them.
type Setting struct {
	At
	Name  Name
	Value Expr
}

// TopicName is a topic: a name, or a string literal for names with other characters, which is then Quoted.
type TopicName struct {
	Name
}

// ModelName is a model as the object of a statement: m, m$2 or m@alias.
type ModelName struct {
	At
	Name    Name
	Version VersionRef
}

// Count is a whole number from 0 in a clause such as LIMIT.
type Count struct {
	At
	N int64
}

// Statements returns a statement of each type. The statements have no text and no parts; they serve to enumerate
// the types.
func Statements() []Statement {
	var out []Statement
	seen := map[reflect.Type]bool{}
	for _, f := range append(forms, beginning{"EXPLAIN", explainForm}) {
		if t := reflect.TypeOf(f.form.zero); !seen[t] {
			seen[t] = true
			out = append(out, f.form.zero)
		}
	}
	return out
}

// Names lists the names of the statements that an engine can execute, by their first words: SELECT, SHOW JOBS,
// CREATE OR REPLACE MODEL. Each name appears once.
func Names() []string {
	var out []string
	seen := map[string]bool{}
	for _, st := range Statements() {
		for _, n := range st.names() {
			if _, later := planned[n]; !later && !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}

// Next lists the words that can follow the given first words, in capitals, in the name of a statement that an
// engine can execute. Words that always follow one another are one element: INSERT INTO.
func Next(words ...string) []string {
	var out []string
	seen := map[string]bool{}
	all, before := Names(), join(words)
	for _, n := range all {
		rest, ok := strings.CutPrefix(n+" ", before)
		if !ok || rest == "" {
			continue
		}
		next, _, _ := strings.Cut(rest, " ")
		for more := onlyWord(all, before+next+" "); more != ""; more = onlyWord(all, before+next+" ") {
			next += " " + more
		}
		if !seen[next] {
			seen[next] = true
			out = append(out, next)
		}
	}
	return out
}

func join(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, " ") + " "
}

// onlyWord returns the word that continues every name that begins with before, or "" if there are several such
// words or a name ends there.
func onlyWord(names []string, before string) (only string) {
	for _, n := range names {
		rest, ok := strings.CutPrefix(n+" ", before)
		if !ok {
			continue
		}
		next, _, _ := strings.Cut(rest, " ")
		if next == "" || only != "" && only != next {
			return ""
		}
		only = next
	}
	return only
}

var (
	choice      = regexp.MustCompile(`@\(([^)]*)\)`)
	choiceWords = regexp.MustCompile(`'([A-Z]+)'`)
)

// choices returns the words that the grammar allows in a field of type Keyword.
func choices[S any](field string) []string {
	f, ok := reflect.TypeFor[S]().FieldByName(field)
	if !ok {
		panic("lang: there is no field " + field)
	}
	var out []string
	for _, m := range choiceWords.FindAllStringSubmatch(choice.FindString(f.Tag.Get("parser")), -1) {
		out = append(out, m[1])
	}
	return out
}

// each returns the list with before and after added to each of its words.
func each(before string, list []string, after string) []string {
	var out []string
	for _, w := range list {
		out = append(out, before+w+after)
	}
	return out
}
