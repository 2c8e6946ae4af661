// Package catalog says what names mean: streams and tables over topics, models, named types, and the jobs that should run. A Catalog is
// an immutable value. The entries of the catalog log change it, and Apply gives the next one: in this process, in another, and at a
// restart alike.
package catalog

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/streamql/streamql/flow"
)

// Catalog holds relations, models, named types and jobs as of one offset of the log. It never changes, so any goroutine may read it
// without a lock.
type Catalog struct {
	relations map[string]*Relation
	models    map[string]*Model
	types     map[string]flow.Type
	jobs      map[string]*Job
	order     []string // of jobs, by creation
	broken    []Broken
	deletions []string // topics to be deleted, which nobody has reported as deleted

	next    int   // number of the next job
	version int64 // rises whenever the meaning of a name or the next number changes
}

// Broken is an entry of the log that this version cannot apply. What it defines is UNAVAILABLE here; everything else works.
type Broken struct {
	Offset    int64
	Kind      string // STREAM, MODEL, ..; "": not known
	Name      string // "": not known
	Statement string
	Reason    string
}

// New returns a catalog with the engine's own relations and nothing else.
func New(own ...*Relation) *Catalog {
	c := (&Catalog{}).clone()
	for _, r := range own {
		c.relations[r.Name] = r
	}
	return c
}

func (c *Catalog) clone() *Catalog {
	out := *c
	out.relations, out.models, out.types, out.jobs = maps.Clone(c.relations), maps.Clone(c.models), maps.Clone(c.types), maps.Clone(c.jobs)
	out.order, out.broken, out.deletions = slices.Clone(c.order), slices.Clone(c.broken), slices.Clone(c.deletions)
	if out.relations == nil {
		out.relations, out.models, out.types, out.jobs = map[string]*Relation{}, map[string]*Model{}, map[string]flow.Type{}, map[string]*Job{}
	}
	return &out
}

// Version rises with every change of a definition, not with the state of a job: a decision that was made at one version holds as long as
// the catalog has that version.
func (c *Catalog) Version() int64 { return c.version }

// Next is the number of the next job.
func (c *Catalog) Next() int { return c.next }

// Relation finds a stream or table: the name as given, else without case unless exact is set.
func (c *Catalog) Relation(name string, exact bool) (*Relation, bool) {
	return find(c.relations, name, exact)
}

// Model finds a model.
func (c *Catalog) Model(name string, exact bool) (*Model, bool) {
	return find(c.models, name, exact)
}

// Type finds a named type.
func (c *Catalog) Type(name string) (flow.Type, bool) {
	t, ok := c.types[strings.ToUpper(name)]
	return t, ok
}

// Job finds a job: the name as given, else without case.
func (c *Catalog) Job(name string) (*Job, bool) {
	return find(c.jobs, name, false)
}

// Unavailable finds the entry that would have defined a name, if this version could read it.
func (c *Catalog) Unavailable(name string) (Broken, bool) {
	for _, b := range c.broken {
		if b.Name != "" && strings.EqualFold(b.Name, name) {
			return b, true
		}
	}
	return Broken{}, false
}

// Broken lists the entries that this version cannot apply, in the order of the log.
func (c *Catalog) Broken() []Broken { return c.broken }

// Deletions lists the topics that are to be deleted.
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

// Relations lists streams and tables by name.
func (c *Catalog) Relations() []*Relation { return sorted(c.relations) }

// Models lists models by name.
func (c *Catalog) Models() []*Model { return sorted(c.models) }

func sorted[T any](m map[string]*T) []*T {
	out := make([]*T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// Jobs lists jobs by creation.
func (c *Catalog) Jobs() []*Job {
	out := make([]*Job, len(c.order))
	for i, name := range c.order {
		out[i] = c.jobs[name]
	}
	return out
}

// Types lists named types by name, as "NAME type".
func (c *Catalog) Types() [][2]string {
	var out [][2]string
	for k, t := range c.types {
		out = append(out, [2]string{k, flow.TypeName(t)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}

// NamedTypes returns the named types, by name in capitals. The map is not to be changed.
func (c *Catalog) NamedTypes() map[string]flow.Type { return c.types }
