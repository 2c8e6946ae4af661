package format

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
)

// Format is one serialization format: a value that Registry.Add takes.
type Format struct {
	Name    string // in capitals, as SHOW prints it
	Doc     string // one sentence
	Options []option.Option
	// Empty says that a record holds nothing, so that it has no columns.
	Empty bool
	// ReadOnly says that records cannot be written, so that nothing can be inserted.
	ReadOnly bool
	// File is how the records lie in files; nil: files of this format cannot be read.
	File *File
	// Columns finds the columns of records whose definition names none, where a schema registry knows them (optional).
	Columns func(ctx context.Context, r Request) ([]arrow.Field, error)
	// Open makes a codec. ctx lives as long as the codec, which may use it and the client in Decode to look up the
	// schema of a record by its id: nothing else ends such a wait. Open is also called to check a definition, so a
	// codec registers the schema that it writes with the first Encode.
	Open     func(ctx context.Context, r Request) (Codec, error)
	Examples []Example
}

// Request is a codec to be opened, or columns to be found. A Spec that is Unwrapped has one column.
type Request struct {
	Spec
	Values option.Values // of the format's options
	// Subject is the name under which a schema registry keeps the schemas of the records: the topic, then -key or
	// -value. "": the records are of no topic.
	Subject string
	Client
}

// Abilities describes what the format can do, for SHOW FORMATS.
func (f *Format) Abilities() string {
	out := "read"
	for _, a := range []struct {
		has  bool
		name string
	}{{!f.ReadOnly, "write"}, {f.File != nil, "files"}, {f.Columns != nil, "infer columns"}} {
		if a.has {
			out += ", " + a.name
		}
	}
	return out
}

// File is how records of a format lie in a file.
type File struct {
	Endings []string // of the names of files that hold this format, in lower case: ".csv"
	// Table says that a file may begin with a record that names the columns, that fields are in the order of the
	// declared columns, and that a quoted field may hold line breaks. Else every line is a record, whatever the names
	// in it.
	Table bool
}

// Example is a tested part of the manual: statements, the last of which has rows, and these rows as CSV without a
// header, a line each.
type Example struct{ SQL, Want string }

// Client is what codecs may use of the world. The zero Client has nothing.
type Client struct {
	Schemas Schemas // nil: there is no schema registry
}

// Schemas is a client of a schema registry. It is safe for use by several goroutines and keeps what it has read:
// codecs call it for each id that is new to them. An error that may pass wraps topic.ErrUnreachable.
type Schemas interface {
	// ByID returns the schema of an id, as a record's frame has it. It never changes.
	ByID(ctx context.Context, id int32) (Schema, error)
	// Latest returns the newest schema of a subject.
	Latest(ctx context.Context, subject string) (Schema, error)
	// Register adds a schema to a subject, unless it is there, and returns its id.
	Register(ctx context.Context, subject string, s Schema) (id int32, err error)
}

// Schema is one schema of a registry. Needs are the schemas that its text refers to.
type Schema struct {
	ID         int32
	Kind, Text string // AVRO, PROTOBUF or JSON; the schema in that language
	Needs      []Reference
}

// Reference is a schema that another one refers to by a name.
type Reference struct {
	Name, Subject string
	Version       int32
}

// ErrUnsupported is wrapped by New when a format is known but cannot do what the Spec asks.
var ErrUnsupported = errors.New("not supported")

// Registry finds formats by name, without case, and opens them. It is filled before it is used, then safe for use by
// several goroutines.
type Registry struct {
	formats map[string]*Format
	client  Client
}

// Add registers a format. Errors: it has no name, documentation or Open, or its name is taken.
func (r *Registry) Add(f Format) error {
	name := strings.ToUpper(strings.TrimSpace(f.Name))
	switch {
	case name == "" || f.Doc == "" || f.Open == nil:
		return fmt.Errorf("format %q needs a Name, a Doc and Open", f.Name)
	case r.formats[name] != nil:
		return fmt.Errorf("format %s exists", name)
	}
	f.Name = name
	r.formats[name] = &f
	return nil
}

// SetClient hands codecs that are opened afterwards the client.
func (r *Registry) SetClient(c Client) { r.client = c }

// Format finds a format by name.
func (r *Registry) Format(name string) (*Format, bool) {
	f, ok := r.formats[strings.ToUpper(strings.TrimSpace(name))]
	return f, ok
}

// All lists the formats by name.
func (r *Registry) All() []*Format {
	return slices.SortedFunc(maps.Values(r.formats), func(a, b *Format) int { return cmp.Compare(a.Name, b.Name) })
}

// Names lists the names of the formats, in order.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.formats)) }

// Find is Format with an error for a name that is unknown, or that is known and not supported yet.
func (r *Registry) Find(name string) (*Format, error) {
	if f, ok := r.Format(name); ok {
		return f, nil
	}
	upper := strings.ToUpper(strings.TrimSpace(name))
	if slices.Contains(planned, upper) {
		return nil, fmt.Errorf("format %s is %w yet; supported are %s", upper, ErrUnsupported, strings.Join(r.Names(), ", "))
	}
	if near := lang.Suggest(upper, append(r.Names(), planned...)); near != "" {
		return nil, fmt.Errorf("unknown format %q; did you mean %s?", name, near)
	}
	return nil, fmt.Errorf("unknown format %q; known are %s", name, strings.Join(r.Names(), ", "))
}

// request reads the options of a Spec.
func (r *Registry) request(f *Format, s Spec, subject string) (Request, error) {
	values, err := option.Read(f.Options, s.Options)
	if err != nil {
		err = fmt.Errorf("format %s: %w", f.Name, err)
	}
	return Request{Spec: s, Values: values, Subject: subject, Client: r.client}, err
}

// New makes the codec of a Spec, for records with a subject; ctx lives as long as the codec. Errors: an unknown name
// (with the nearest known one), a value that the format's option does not take, a type that it does not have. Options
// that the format does not have are left alone: earlier versions wrote the same options for all formats.
func (r *Registry) New(ctx context.Context, s Spec, subject string) (Codec, error) {
	f, err := r.Find(s.Name)
	if err != nil {
		return nil, err
	}
	if s.Unwrapped && len(s.Fields) != 1 {
		return nil, fmt.Errorf("format %s: a record without a wrapper needs exactly one column, %d are given",
			f.Name, len(s.Fields))
	}
	in, err := r.request(f, s, subject)
	if err != nil {
		return nil, err
	}
	codec, err := f.Open(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("format %s: %w", f.Name, err)
	}
	return codec, nil
}

// Inferred finds the columns of a Spec that has none, where the format can: see Format.Columns. nil: it cannot.
func (r *Registry) Inferred(ctx context.Context, s Spec, subject string) ([]arrow.Field, error) {
	f, err := r.Find(s.Name)
	if err != nil || f.Columns == nil {
		return nil, err
	}
	in, err := r.request(f, s, subject)
	if err != nil {
		return nil, err
	}
	return f.Columns(ctx, in)
}

// builtins is filled by the builtin lines of the files of this package and does not change after start.
var builtins = &Registry{formats: map[string]*Format{}}

// Builtins returns a registry of the built-in formats, to which others can be added.
func Builtins() *Registry { return &Registry{formats: maps.Clone(builtins.formats)} }

// New makes the codec of a Spec in a built-in format, for programs and tests without an engine: see Registry.New.
func New(s Spec) (Codec, error) { return builtins.New(context.Background(), s, "") }

// planned are the formats that users know from elsewhere and that are refused by name rather than as a typing error.
var planned = []string{"AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR", "DEBEZIUM-JSON", "PARQUET"}

// builtin registers a format at start; it panics on a name given twice, which is a mistake of ours.
func builtin(f Format) bool {
	if err := builtins.Add(f); err != nil {
		panic(err)
	}
	return true
}

// alone opens a format that needs nothing of the world.
func alone(open func(Request) (Codec, error)) func(context.Context, Request) (Codec, error) {
	return func(_ context.Context, r Request) (Codec, error) { return open(r) }
}
