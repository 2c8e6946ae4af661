// Package catalog contains the meaning of names: streams and tables over topics, models, named
// types, and the jobs that should run. A Catalog is an immutable value. Entries of the catalog
// log change it: Apply returns the next one, identically in every process and after every
// restart.
package catalog

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/streamql/streamql/flow"
)

// Catalog contains the relations, models, named types and jobs as of one offset of the log. It
// is immutable, so any goroutine may read it without a lock.
type Catalog struct {
	relations map[string]*Relation
	models    map[string]*Model
	types     map[string]flow.Type
	jobs      map[string]*Job
	order     []string // of jobs, by creation
	broken    []Broken
	deletions []string // topics to delete whose deletion has not been reported

	next    int   // number of the next job
	version int64 // incremented when the meaning of a name or the next number changes
}

// Broken is an entry of the log that this version cannot apply. Its object is UNAVAILABLE here;
// everything else works.
type Broken struct {
	Offset    int64
	Kind      string // STREAM, MODEL, ..; empty: unknown
	Name      string // empty: unknown
	Statement string
	Reason    string
}

// New returns a catalog that contains only the engine's own relations.
func New(own ...*Relation) *Catalog {
	c := (&Catalog{}).clone()
	for _, r := range own {
		c.relations[r.Name] = r
	}
	return c
}

func (c *Catalog) clone() *Catalog {
	out := *c
	out.relations, out.models, out.types, out.jobs = maps.Clone(
		c.relations,
	), maps.Clone(
		c.models,
	), maps.Clone(
		c.types,
	), maps.Clone(
		c.jobs,
	)
	out.order, out.broken, out.deletions = slices.Clone(c.order), slices.Clone(c.broken), slices.Clone(c.deletions)
	if out.relations == nil {
		out.relations, out.models, out.types, out.jobs = map[string]*Relation{}, map[string]*Model{}, map[string]flow.Type{}, map[string]*Job{}
	}
	return &out
}

// Version increases with every change of a definition, but not with the status of a job. A
// decision that was made at one version is valid as long as the catalog has that version.
func (c *Catalog) Version() int64 { return c.version }

// Next returns the number of the next job.
func (c *Catalog) Next() int { return c.next }

// Relation returns a stream or table by its exact name, else by a name that differs only in
// case, unless exact is set.
func (c *Catalog) Relation(name string, exact bool) (*Relation, bool) {
	return find(c.relations, name, exact)
}

// Model returns a model, with the same rules for names as Relation.
func (c *Catalog) Model(name string, exact bool) (*Model, bool) {
	return find(c.models, name, exact)
}

// Type returns a named type.
func (c *Catalog) Type(name string) (flow.Type, bool) {
	t, ok := c.types[strings.ToUpper(name)]
	return t, ok
}

// Job returns a job by its exact name, else by a name that differs only in case.
func (c *Catalog) Job(name string) (*Job, bool) {
	return find(c.jobs, name, false)
}

// Unavailable returns the entry that would have defined a name if this version could read it.
func (c *Catalog) Unavailable(name string) (Broken, bool) {
	for _, b := range c.broken {
		if b.Name != "" && strings.EqualFold(b.Name, name) {
			return b, true
		}
	}
	return Broken{}, false
}

// Broken returns the entries that this version cannot apply, in the order of the log.
func (c *Catalog) Broken() []Broken { return c.broken }

// Deletions returns the topics to delete.
func (c *Catalog) Deletions() []string { return c.deletions }

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

// Relations returns streams and tables by name.
func (c *Catalog) Relations() []*Relation { return sorted(c.relations) }

// Models returns models by name.
func (c *Catalog) Models() []*Model { return sorted(c.models) }

func sorted[T any](m map[string]*T) []*T {
	out := make([]*T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// Jobs returns jobs by creation.
func (c *Catalog) Jobs() []*Job {
	out := make([]*Job, len(c.order))
	for i, name := range c.order {
		out[i] = c.jobs[name]
	}
	return out
}

// Types returns named types by name, as "NAME type".
func (c *Catalog) Types() [][2]string {
	var out [][2]string
	for k, t := range c.types {
		out = append(out, [2]string{k, flow.TypeName(t)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}

// NamedTypes returns the named types by name in capitals. The caller must not change the map.
func (c *Catalog) NamedTypes() map[string]flow.Type { return c.types }
