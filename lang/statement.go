package lang

// Statement is one statement of a text: a pointer to one of the statement types of this package.
type Statement interface {
	Node
	End() Pos     // just past the statement's last token, its ';' not counted
	Number() int  // its place in the text, from 1; statements that could not be read count too
	Text() string // its source from Position to End, comments within included
	origin() *Origin
}

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

// HasRows reports whether a statement answers with rows.
func HasRows(st Statement) bool {
	switch st.(type) {
	case *QueryStatement, *Show, *ShowObject, *Describe, *Explain, *PrintTopic:
		return true
	}
	return false
}
