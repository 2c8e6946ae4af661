// Package connect declares where the records of relations are: in topics of the broker, in files, made by rule. A
// connector is declared once, in a file of its own: what its options are and what it can do, which the planner, the
// shell and SHOW CONNECTORS read, and how it is opened.
package connect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic"
)

// Shape is the form in which rows come.
type Shape int

// The shapes.
const (
	// KeyedRecords have a key and a value, each in a format of its own; either may be missing.
	KeyedRecords Shape = iota
	// PlainRecords have a value in a format; columns of the key are among its fields.
	PlainRecords
	// Columns are rows that no format decodes: topic.Fetch.Decoded.
	Columns
)

// String describes the shape for SHOW CONNECTORS.
func (s Shape) String() string {
	return [...]string{"records with keys", "records", "columns"}[s]
}

// Connector is one kind of place where records are: a value that Registry.Add takes.
type Connector struct {
	Name    string // in lower case, as WITH (connector='..') has it
	Doc     string // one sentence
	Options []option.Option
	// More finds options that depend on the values of others, such as those of a generator's kind (optional). It is
	// called with what a statement gives, by lower-case name; with nil it returns all that there may be.
	More  func(given map[string]string) []option.Option
	Shape Shape
	// Broker says that the records are in topics of the engine's broker, which are made, read and written in its
	// transactions. A relation without a connector has the one that is a broker's; there is one in a registry.
	Broker bool
	Writes bool // INSERT and CREATE .. AS SELECT can write; today that takes a Broker
	// Replays says that an offset that was read can be read again and is the same record; a job over anything else
	// would lose rows in a failure.
	Replays bool
	// Infers says that Opened.Columns finds the columns of a relation that was declared without any.
	Infers bool
	// Formats says that Opened.Format finds the format of the records where the statement gives none.
	Formats bool
	// Admit finds the place on this machine's disks that a new relation reads, which must be under one of the roots
	// that its session may read. nil: the connector reads no disk. From then on Request has the place, whoever opens
	// the relation.
	Admit func(o option.Values, roots []string) (root, path string, err error)
	// Check refuses values that contradict one another or that this engine cannot obey (optional). An error of an
	// option is an *option.Error.
	Check func(o option.Values, w World) error
	// Open opens the source of a relation. It reads no rows. A *lang.Error is reported as it is; the code of any
	// other is SQ5003.
	Open     func(ctx context.Context, r Request) (Opened, error)
	Examples []Example
}

// Example is a tested part of the manual: statements, the last of which has rows, and these rows as CSV without a
// header, a line each. Files are there, by name, in the one directory that the statements may read.
type Example struct {
	Files     map[string]string
	SQL, Want string
}

// World is what connectors see of the engine.
type World struct {
	Broker  topic.Source
	Copies  int // the most copies of a topic that the broker can keep; 0: as many as it has nodes
	Formats *format.Registry
	Now     func() time.Time
}

// Request is a relation to be opened.
type Request struct {
	World
	Relation string
	Topic    string
	Fields   []arrow.Field // the declared columns, those of the key included; nil: they are to be inferred
	Options  option.Values // of the connector
	// Format is the format of the values as the statement gives it; "": it gives none. FormatOptions are those that
	// it gives for the value.
	Format        string
	FormatOptions map[string]string
	Root, Path    string // what Admit has found
	// Defining says that the relation is new, so that options without effect are refused. A relation that is there
	// stays readable.
	Defining bool
}

// Opened is the source of a relation and what is known of it.
type Opened struct {
	topic.Source
	Close      func() error                  // nil: there is nothing to be closed
	Columns    func() ([]arrow.Field, error) // of a Connector that Infers
	Partitions int32
	Format     string            // of a Connector that Formats: the name of the format of the records
	Options    map[string]string // and its options, as a statement would write them
}

// All are the options of the connector, given what a statement gives; with nil, all that there may be.
func (c *Connector) All(given map[string]string) []option.Option {
	out := slices.Clone(c.Options)
	if c.More != nil {
		out = append(out, c.More(given)...)
	}
	return out
}

// Abilities describes what the connector can do, for SHOW CONNECTORS.
func (c *Connector) Abilities() string {
	out := []string{"read"}
	for _, a := range []struct {
		has  bool
		name string
	}{{c.Writes, "write"}, {c.Replays, "replay"}, {c.Infers, "infer columns"}, {c.Formats, "infer format"}} {
		if a.has {
			out = append(out, a.name)
		}
	}
	return strings.Join(out, ", ")
}

// Registry finds connectors by name, without case. It is filled before it is used, then safe for use by several
// goroutines.
type Registry struct {
	connectors map[string]*Connector
	broker     *Connector
}

// Add registers a connector. Errors: it has no name, documentation or Open, its name is taken, or it is a second
// broker's.
func (r *Registry) Add(c Connector) error {
	name := strings.ToLower(strings.TrimSpace(c.Name))
	switch {
	case name == "" || c.Doc == "" || c.Open == nil:
		return fmt.Errorf("connector %q needs a Name, a Doc and Open", c.Name)
	case r.connectors[name] != nil:
		return fmt.Errorf("connector %s exists", name)
	case c.Broker && r.broker != nil:
		return fmt.Errorf("connector %s: %s is the broker's already", name, r.broker.Name)
	case c.Writes && !c.Broker:
		return fmt.Errorf("connector %s: only topics of the broker can be written yet", name)
	}
	c.Name = name
	r.connectors[name] = &c
	if c.Broker {
		r.broker = &c
	}
	return nil
}

// Find finds a connector by name; "" is the broker's. The error is an *option.Error with the names that are known.
func (r *Registry) Find(name string) (*Connector, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		return r.broker, nil
	}
	if c, ok := r.connectors[name]; ok {
		return c, nil
	}
	names := r.Names()
	return nil, &option.Error{Option: name, Names: names,
		Reason: fmt.Sprintf("there is no connector %q; there are %s", name, strings.Join(names, ", "))}
}

// Names lists the names of the connectors, in order.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.connectors)) }

// All lists the connectors by name.
func (r *Registry) All() []*Connector {
	return slices.SortedFunc(maps.Values(r.connectors), func(a, b *Connector) int { return cmp.Compare(a.Name, b.Name) })
}

// builtins is filled by the builtin lines of the files of this package and does not change after start.
var builtins = &Registry{connectors: map[string]*Connector{}}

// Builtins returns a registry of the built-in connectors, to which others can be added.
func Builtins() *Registry {
	return &Registry{connectors: maps.Clone(builtins.connectors), broker: builtins.broker}
}

// builtin registers a connector at start; it panics on a name given twice, which is a mistake of ours.
func builtin(c Connector) bool {
	if err := builtins.Add(c); err != nil {
		panic(err)
	}
	return true
}
