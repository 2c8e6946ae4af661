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

// Format is the declaration of one serialization format. Registry.Add registers it.
type Format struct {
	Name    string // in upper case, as in SHOW FORMATS
	Doc     string // one sentence
	Options []option.Option
	// Empty says that records of the format have no columns.
	Empty bool
	// ReadOnly says that the format cannot encode records, so INSERT is not possible.
	ReadOnly bool
	// File describes files of this format; nil: the format cannot be read from files.
	File *File
	// Columns returns the columns of records whose definition names none, from a schema registry (optional).
	Columns func(ctx context.Context, r Request) ([]arrow.Field, error)
	// Open returns a codec. ctx remains valid as long as the codec. Decode may use it and the client to look up the
	// schema of a record by its id; only the end of ctx cancels such a request. The engine also calls Open to check a
	// definition, so a codec does not register the schema that it writes before the first Encode.
	Open     func(ctx context.Context, r Request) (Codec, error)
	Examples []Example
}

// Request describes a codec to be opened, or columns to be inferred. A Spec that is Unwrapped has one column.
type Request struct {
	Spec
	Values option.Values // of the format's options
	// Subject is the name under which a schema registry stores the schemas of the records: the topic's name with -key
	// or -value appended. It is empty if the records do not come from a topic.
	Subject string
	Client
}

// Abilities lists the abilities of the format, for SHOW FORMATS.
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

// File describes files whose records have the format.
type File struct {
	Endings []string // the file name extensions of the format, in lower case: ".csv"
	// Table says that a file may begin with a record of column names, that fields are in the order of the declared
	// columns, and that a quoted field may contain line breaks. If Table is false, every line is a record.
	Table bool
}

// Example is a tested part of the manual. SQL has statements, the last of which returns rows. Want has these rows as
// CSV without a header, one line each.
type Example struct{ SQL, Want string }

// Client has the services that codecs may use. The zero Client has none.
type Client struct {
	Schemas Schemas // nil: there is no schema registry
}

// Schemas is a client of a schema registry. Its methods are the three requests that codecs need. Several goroutines may
// use it. It caches schemas, because every codec requests each id that it has not seen. A transient error wraps
// topic.ErrUnreachable.
type Schemas interface {
	// ByID returns the schema with an id, which a record's frame contains. The schema of an id never changes.
	ByID(ctx context.Context, id int32) (Schema, error)
	// Latest returns the newest schema of a subject.
	Latest(ctx context.Context, subject string) (Schema, error)
	// Register adds a schema to a subject, unless the subject has it already, and returns its id.
	Register(ctx context.Context, subject string, s Schema) (id int32, err error)
}

// Schema is one schema of a registry. Needs lists the schemas to which its text refers.
type Schema struct {
	ID         int32
	Kind, Text string // AVRO, PROTOBUF or JSON, and the schema in that language
	Needs      []Reference
}

// Reference is a schema to which another schema refers by name.
type Reference struct {
	Name, Subject string
	Version       int32
}

// ErrUnsupported is wrapped in the errors for known formats that are not implemented, and for types and options of a
// Spec that a format does not support.
var ErrUnsupported = errors.New("not supported")

// Registry finds formats by name, without regard to case, and opens them. All calls of Add and SetClient come before
// any other use. After that, several goroutines may use the registry.
type Registry struct {
	formats map[string]*Format
	client  Client
}

// Add registers a format. It returns an error if the format has no Name, Doc or Open, or if its name is taken.
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

// SetClient sets the client of codecs that are opened later.
func (r *Registry) SetClient(c Client) { r.client = c }

// Format returns the format with a name, and whether it exists.
func (r *Registry) Format(name string) (*Format, bool) {
	f, ok := r.formats[strings.ToUpper(strings.TrimSpace(name))]
	return f, ok
}

// All returns the formats, sorted by name.
func (r *Registry) All() []*Format {
	return slices.SortedFunc(maps.Values(r.formats), func(a, b *Format) int { return cmp.Compare(a.Name, b.Name) })
}

// Names returns the names of the formats, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.formats)) }

// Find returns the format with a name. It returns an error if the name is unknown, or if the format is not implemented
// (ErrUnsupported).
func (r *Registry) Find(name string) (*Format, error) {
	if f, ok := r.Format(name); ok {
		return f, nil
	}
	upper := strings.ToUpper(strings.TrimSpace(name))
	for _, f := range r.All() { // the ending of a file names its format
		if f.File != nil && slices.Contains(f.File.Endings, "."+strings.ToLower(upper)) {
			return f, nil
		}
	}
	if slices.Contains(planned, upper) {
		return nil, fmt.Errorf("format %s is %w yet; supported are %s", upper, ErrUnsupported, strings.Join(r.Names(), ", "))
	}
	if near := lang.Suggest(upper, append(r.Names(), planned...)); near != "" {
		return nil, fmt.Errorf("unknown format %q; did you mean %s?", name, near)
	}
	return nil, fmt.Errorf("unknown format %q; known are %s", name, strings.Join(r.Names(), ", "))
}

// request returns the Request for a Spec, with the values of its options.
func (r *Registry) request(f *Format, s Spec, subject string) (Request, error) {
	values, err := option.Read(f.Options, s.Options)
	if err != nil {
		err = fmt.Errorf("format %s: %w", f.Name, err)
	}
	return Request{Spec: s, Values: values, Subject: subject, Client: r.client}, err
}

// New returns a codec for a Spec, for records with a subject. ctx must remain valid as long as the codec. New returns
// an error for an unknown name, with the most similar known name, for an invalid value of an option, and for a type
// that the format does not support. It ignores options that the format does not have, because earlier versions wrote
// the same options for all formats.
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

// Inferred returns the columns of a Spec that has none: see Format.Columns. It returns nil if the format cannot infer
// columns.
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

// builtins holds the formats of this package's files. They call builtin in the initialization of the package, and
// builtins does not change after that.
var builtins = &Registry{formats: map[string]*Format{}}

// Builtins returns a new registry with the built-in formats. The caller may add others.
func Builtins() *Registry { return &Registry{formats: maps.Clone(builtins.formats)} }

// New returns a codec for a Spec with a built-in format, for programs and tests without an engine: see Registry.New.
func New(s Spec) (Codec, error) { return builtins.New(context.Background(), s, "") }

// planned lists formats of other systems that are not implemented. Find reports them as unsupported, not as unknown.
var planned = []string{"AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR", "DEBEZIUM-JSON", "PARQUET"}

// builtin registers a format of this package. It panics if Add returns an error, which is a bug in the declaration.
func builtin(f Format) bool {
	if err := builtins.Add(f); err != nil {
		panic(err)
	}
	return true
}

// alone returns the Open function of a format that uses neither a context nor a client.
func alone(open func(Request) (Codec, error)) func(context.Context, Request) (Codec, error) {
	return func(_ context.Context, r Request) (Codec, error) { return open(r) }
}
