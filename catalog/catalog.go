// Package catalog says what names mean: streams and tables over topics, models, and the statements that made them. It is memory
// only; the engine keeps the statements in a topic and replays them at start.
package catalog

import (
	"sort"
	"strings"
	"sync"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
)

// Role says which part of a record a column is read from.
type Role int

// The roles.
const (
	Value Role = iota
	Key
	Headers
	Header
)

// Column is a column of a relation.
type Column struct {
	Name   string
	Type   flow.Type
	Role   Role
	Header string // the header's key, for role Header
}

// Windowing says that a table's keys are windowed. Size is the window's length in ms, -1 for sessions.
type Windowing struct {
	Kind string // TUMBLING, HOPPING or SESSION
	Size int64
}

// Relation is a stream or a table over a topic.
type Relation struct {
	Name       string
	Table      bool
	Columns    []Column
	Topic      string
	Partitions int32
	Key, Value format.Spec
	// Timestamp is the column that holds event time, with the pattern of its text if it is text; empty: the record's time.
	Timestamp, TimestampFormat string
	Window                     *Windowing
	With                       map[string]string // options as given, by lower-case name
	Connector                  string            // "": a topic of the broker
	ReadOnly                   bool
	Statement                  string // the text that made it
	Job                        string // the job that fills it; "" when it is declared over a topic
	OnError                    string
}

// Kind is STREAM or TABLE.
func (r *Relation) Kind() string {
	if r.Table {
		return "TABLE"
	}
	return "STREAM"
}

// KeyColumns returns the key's columns in their order.
func (r *Relation) KeyColumns() []Column {
	var out []Column
	for _, c := range r.Columns {
		if c.Role == Key {
			out = append(out, c)
		}
	}
	return out
}

// Schema spells the columns as ksqlDB does: "`ID` BIGINT KEY, `V` STRING".
func (r *Relation) Schema() string {
	parts := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		parts[i] = "`" + c.Name + "` " + flow.TypeName(c.Type)
		switch {
		case c.Role == Key:
			parts[i] += " KEY"
		case c.Role == Headers:
			parts[i] += " HEADERS"
		case c.Role == Header:
			parts[i] += " HEADER('" + c.Header + "')"
		}
	}
	return strings.Join(parts, ", ")
}

// Model is a model's name and the statement that trains it; its versions are in its topic.
type Model struct {
	Name      string
	Statement string
	Job       string
	Type      string
	Topic     string
}

// Catalog holds relations, models and named types. It is safe for use by several goroutines.
type Catalog struct {
	mu        sync.RWMutex
	relations map[string]*Relation
	models    map[string]*Model
	types     map[string]flow.Type
}

// New returns an empty catalog.
func New() *Catalog {
	return &Catalog{relations: map[string]*Relation{}, models: map[string]*Model{}, types: map[string]flow.Type{}}
}

// Put adds or replaces a relation.
func (c *Catalog) Put(r *Relation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.relations[r.Name] = r
}

// PutModel adds or replaces a model.
func (c *Catalog) PutModel(m *Model) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.models[m.Name] = m
}

// PutType names a type; nil removes the name.
func (c *Catalog) PutType(name string, t flow.Type) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t == nil {
		delete(c.types, strings.ToUpper(name))
		return
	}
	c.types[strings.ToUpper(name)] = t
}

// Drop removes a relation or a model.
func (c *Catalog) Drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.relations, name)
	delete(c.models, name)
}

// Relation finds a stream or table: the name as given, else without case unless exact is set.
func (c *Catalog) Relation(name string, exact bool) (*Relation, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return find(c.relations, name, exact)
}

// Model finds a model.
func (c *Catalog) Model(name string, exact bool) (*Model, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return find(c.models, name, exact)
}

// Type finds a named type.
func (c *Catalog) Type(name string) (flow.Type, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.types[strings.ToUpper(name)]
	return t, ok
}

func find[T any](m map[string]*T, name string, exact bool) (*T, bool) {
	if v, ok := m[name]; ok || exact {
		return v, ok
	}
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}

// Relations lists streams and tables by name.
func (c *Catalog) Relations() []*Relation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*Relation, 0, len(c.relations))
	for _, r := range c.relations {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Models lists models by name.
func (c *Catalog) Models() []*Model {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*Model, 0, len(c.models))
	for _, m := range c.models {
		out = append(out, m)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Types lists named types by name, as "NAME type".
func (c *Catalog) Types() [][2]string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out [][2]string
	for k, t := range c.types {
		out = append(out, [2]string{k, flow.TypeName(t)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}
