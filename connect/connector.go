// Package connect declares the connectors of relations: topics of the broker, files, and generators. Each connector
// is one declaration in a file of its own. The declaration has the connector's options and abilities, which the
// planner, the shell and SHOW CONNECTORS read, and the function that opens a relation's source.
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

// Shape is the form in which a connector returns rows.
type Shape int

// The shapes.
const (
	// KeyedRecords have a key and a value, each in a format of its own. Either may be missing.
	KeyedRecords Shape = iota
	// PlainRecords have only a value in a format. Key columns are fields of the value.
	PlainRecords
	// Columns are rows that need no format: the source returns them in topic.Fetch.Decoded.
	Columns
)

// String returns the text that SHOW CONNECTORS prints for the shape.
func (s Shape) String() string {
	return [...]string{"records with keys", "records", "columns"}[s]
}

// Connector is the declaration of one kind of source or sink. Registry.Add registers it.
type Connector struct {
	Name    string // in lower case, as in WITH (connector='..')
	Doc     string // one sentence
	Options []option.Option
	// More returns options that depend on the values of others, such as the options of a generator's kind (optional).
	// Its argument has the option values of a statement by lower-case name. With nil, More returns every option that
	// any statement could use.
	More  func(given map[string]string) []option.Option
	Shape Shape
	// Broker says that the records are in topics of the engine's broker. The engine creates these topics and uses the
	// broker's transactions. A registry has one such connector, and a relation that names no connector uses it.
	Broker bool
	Writes bool // INSERT and CREATE .. AS SELECT can write; only a Broker may set it
	// Replays says that an offset can be read again and returns the same record. A job over a source without this
	// ability would lose rows in a failure.
	Replays bool
	// Infers says that Opened.Columns returns the columns of a relation that was declared without columns.
	Infers bool
	// Formats says that Opened.Format is the format of the records if the statement names none.
	Formats bool
	// Admit returns the directory or file that a new relation reads. It must be under one of the roots that the
	// session may read. The catalog stores root and path, and every later Request contains them. Admit is nil if the
	// connector reads no disk.
	Admit func(o option.Values, roots []string) (root, path string, err error)
	// Check refuses values that contradict one another or that this engine does not support (optional). An error in an
	// option is an *option.Error.
	Check func(o option.Values, l Limits) error
	// Open opens the source of a relation. It reads no rows. The engine reports a *lang.Error unchanged, an
	// *option.Error with code SQ5002 and any other error with SQ5003.
	Open     func(ctx context.Context, r Request) (Opened, error)
	Examples []Example
}

// Example is a tested part of the manual. SQL has statements, the last of which returns rows. Want has these rows as
// CSV without a header, one line each. Files has the content of files by name, which exist in the one directory that
// the statements may read.
type Example struct {
	Files     map[string]string
	SQL, Want string
}

// World is the part of the engine that connectors use.
type World struct {
	Broker  topic.Source
	Formats *format.Registry
	Now     func() time.Time
}

// Limits are the limits of the engine's broker, to which Check holds a statement.
type Limits struct {
	Copies int // the maximum of replicas that the broker supports; 0: one per node
}

// Request describes a relation whose source is to be opened.
type Request struct {
	World
	Relation string
	Topic    string
	Fields   []arrow.Field // the declared columns, key columns included; nil: the connector infers them
	Options  option.Values // of the connector
	// Format is the value format that the statement names; "": the statement names none. FormatOptions are the
	// statement's options of the value format.
	Format        string
	FormatOptions map[string]string
	Root, Path    string // the results of Admit
	// Defining says that the relation is new. Options without effect are refused only then: an existing relation
	// remains readable.
	Defining bool
}

// Opened is the source of a relation and the properties that the connector found.
type Opened struct {
	topic.Source
	Close      func() error                  // nil: nothing has to be closed
	Columns    func() ([]arrow.Field, error) // set if Connector.Infers is set
	Partitions int32
	Format     string            // set if Connector.Formats is set: the format of the records
	Options    map[string]string // the options of Format, as a statement would write them
}

// All returns the options that the connector has for a statement with the given option values. With nil, it returns
// every option that any statement could use.
func (c *Connector) All(given map[string]string) []option.Option {
	out := slices.Clone(c.Options)
	if c.More != nil {
		out = append(out, c.More(given)...)
	}
	return out
}

// Abilities lists the abilities of the connector, for SHOW CONNECTORS.
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

// Registry finds connectors by name, without regard to case. All calls of Add come before any other use. After that,
// several goroutines may use the registry.
type Registry struct {
	connectors map[string]*Connector
	broker     *Connector
}

// Add registers a connector. It returns an error if the connector has no Name, Doc or Open, if its name is taken, if
// it is a second Broker, or if it Writes without being a Broker.
func (r *Registry) Add(c Connector) error {
	name := strings.ToLower(strings.TrimSpace(c.Name))
	switch {
	case name == "" || c.Doc == "" || c.Open == nil:
		return fmt.Errorf("connector %q needs a Name, a Doc and Open", c.Name)
	case r.connectors[name] != nil:
		return fmt.Errorf("connector %s exists", name)
	case c.Broker && r.broker != nil:
		return fmt.Errorf("connector %s: the broker has the connector %s already", name, r.broker.Name)
	case c.Writes && !c.Broker:
		return fmt.Errorf("connector %s: Writes is set without Broker, but only the broker's connector can write", name)
	}
	c.Name = name
	r.connectors[name] = &c
	if c.Broker {
		r.broker = &c
	}
	return nil
}

// Find returns the connector with a name; "" is the name of the broker's. The error is an *option.Error with the known
// names.
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

// Names returns the names of the connectors, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.connectors)) }

// All returns the connectors, sorted by name.
func (r *Registry) All() []*Connector {
	return slices.SortedFunc(maps.Values(r.connectors), func(a, b *Connector) int { return cmp.Compare(a.Name, b.Name) })
}

// builtins holds the connectors of this package's files. They call builtin in the initialization of the package, and
// builtins does not change after that.
var builtins = &Registry{connectors: map[string]*Connector{}}

// Builtins returns a new registry with the built-in connectors. The caller may add others.
func Builtins() *Registry {
	return &Registry{connectors: maps.Clone(builtins.connectors), broker: builtins.broker}
}

// builtin registers a connector of this package. It panics if Add returns an error, which is a bug in the declaration.
func builtin(c Connector) bool {
	if err := builtins.Add(c); err != nil {
		panic(err)
	}
	return true
}
