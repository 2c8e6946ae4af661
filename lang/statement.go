package lang

import (
	"reflect"
	"regexp"
	"strings"
)

// Statement is one statement of a text: a pointer to one of the statement types of this package.
type Statement interface {
	Node
	End() Pos     // just past the statement's last token, its ';' not counted
	Number() int  // its place in the text, from 1; statements that could not be read count too
	Text() string // its source from Position to End, comments within included
	// Traits are the facts about the statement that need no catalog.
	Traits() Traits
	// names lists the names of all statements of the type, by their first words. It ignores its receiver, which may be
	// nil.
	names() []string
	origin() *Origin
}

// Traits are the facts about a statement that its text alone decides. How an engine carries the statement out is
// declared in package engine.
type Traits struct {
	Name    string // as users write it: SHOW JOBS, CREATE STREAM
	Effect  Effect // what it changes
	Rows    bool   // it answers with rows
	Bounded bool   // its text bounds it. A query that has no LIMIT is bounded by its plan, or is not
	Plan    bool   // it has a plan, which EXPLAIN shows
	Trains  *Name  // the model that it trains; nil: none
}

// Effect is what a statement changes.
type Effect int

// The effects.
const (
	Asks    Effect = iota // nothing: a query, SHOW, DESCRIBE
	Sets                  // the settings of its own session
	Writes                // records of a topic
	Defines               // the catalog
)

// asks are the traits of a statement that shows something.
func asks(name string) Traits { return Traits{Name: name, Rows: true, Bounded: true} }

// sets are the traits of a statement that changes its session.
func sets(name string) Traits { return Traits{Name: name, Effect: Sets, Bounded: true} }

// defines are the traits of a statement that changes the catalog.
func defines(name string) Traits { return Traits{Name: name, Effect: Defines, Bounded: true} }

// Origin is where a statement came from. Every statement embeds it.
type Origin struct {
	Pos    Pos `parser:"@@"`
	end    Pos
	number int
	text   string
}

// Position is where the statement's first token starts.
func (o *Origin) Position() Pos { return o.Pos }

// End is just past the statement's last token.
func (o *Origin) End() Pos { return o.end }

// Number is the statement's place in its text, from 1.
func (o *Origin) Number() int { return o.number }

// Text is the statement's own source, without the ';' that ends it.
func (o *Origin) Text() string { return o.text }

func (o *Origin) origin() *Origin { return o }

// Keyword is a word of the grammar, or several with one blank between them, in capitals.
type Keyword string

// Setting is name = value in a WITH clause. A name given in quotes or as text is Quoted; dotted names keep their dots.
type Setting struct {
	At
	Name  Name
	Value Expr
}

// TopicName is a topic: a name, or a text for names with other characters, which is then Quoted.
type TopicName struct {
	Name
}

// ModelName is a model where a statement names one: m, m$2 or m@alias.
type ModelName struct {
	At
	Name    Name
	Version VersionRef
}

// Count is a whole number from 0 written in a clause such as LIMIT.
type Count struct {
	At
	N int64
}

// Statements returns a statement of each type. They have no text and no parts: they are there to be counted.
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

// Names lists the names of the statements that can be carried out, by their first words: SELECT, SHOW JOBS, CREATE OR
// REPLACE MODEL. No name is there twice.
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

// Next lists the words that continue the name of a statement that can be carried out, of which some words are there, in
// capitals. Words that are always together are one: INSERT INTO.
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

// onlyWord is the word that continues every name which begins with before; "": there are several, or a name ends there.
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

// choices are the words that a keyword's field may have, by its grammar.
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

// each puts words before and after every one of a list.
func each(before string, list []string, after string) []string {
	var out []string
	for _, w := range list {
		out = append(out, before+w+after)
	}
	return out
}
