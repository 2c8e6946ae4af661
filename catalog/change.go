package catalog

import (
	"slices"
	"strings"
)

// Change is the effect of an entry of the log, as plain data. The members that are set are
// applied in the order of their declaration.
type Change struct {
	End      []string   `json:"end,omitempty"`  // jobs that end for good, with their state
	Drop     []string   `json:"drop,omitempty"` // relations and models
	DropType string     `json:"drop_type,omitempty"`
	Delete   []string   `json:"delete,omitempty"`  // topics to delete
	Deleted  []string   `json:"deleted,omitempty"` // deleted topics
	Type     *NamedType `json:"type,omitempty"`
	Relation *Relation  `json:"relation,omitempty"`
	Model    *Model     `json:"model,omitempty"`
	Job      *Job       `json:"job,omitempty"`    // a new job, or the next generation of one
	States   []State    `json:"states,omitempty"` // of jobs
	Skip     []int64    `json:"skip,omitempty"`   // offsets of entries that cannot be applied and are skipped
}

// State is a new status of a job, set by a user or a process.
type State struct {
	Job     string   `json:"job"`
	State   string   `json:"state"` // PAUSED, RUNNING, DONE, FAILED or MADE
	Resume  string   `json:"resume,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
	// Generation is the generation that the status belongs to. A report about an earlier
	// generation is ignored; 0: any generation.
	Generation int `json:"generation,omitempty"`
}

// The statuses that the log contains.
const (
	Paused  = "PAUSED"
	Running = "RUNNING"
	Done    = "DONE"
	Failed  = "FAILED"
	Made    = "MADE" // its topics have been created
)

// ResumeSkip as State.Resume skips records of a job's changelogs that are not valid state.
const ResumeSkip = "SKIP"

// Apply returns the catalog after the changes. It cannot fail: references to missing objects
// are ignored.
func (c *Catalog) Apply(changes ...Change) *Catalog {
	out := c.clone()
	for i := range changes {
		out.apply(&changes[i])
	}
	return out
}

// WithBroken returns the catalog with the given entries that cannot be applied.
func (c *Catalog) WithBroken(list ...Broken) *Catalog {
	out := c.clone()
	out.broken = append(out.broken, list...)
	out.version++
	return out
}

func (c *Catalog) apply(ch *Change) {
	for _, name := range ch.End {
		delete(c.jobs, name)
		c.order = slices.DeleteFunc(c.order, func(n string) bool { return n == name })
		c.version++
	}
	for _, name := range ch.Drop {
		delete(c.relations, name)
		delete(c.models, name)
		c.version++
	}
	if ch.DropType != "" {
		delete(c.types, strings.ToUpper(ch.DropType))
		c.version++
	}
	c.deletions = append(c.deletions, ch.Delete...)
	c.forgive(ch.Deleted)
	if t := ch.Type; t != nil {
		c.types[strings.ToUpper(t.Name)] = t.Type
		c.version++
	}
	if r := ch.Relation; r != nil {
		c.relations[r.Name] = r
		c.forgive([]string{r.Topic})
		c.version++
	}
	if m := ch.Model; m != nil {
		c.models[m.Name] = m
		c.forgive([]string{m.Topic})
		c.version++
	}
	if ch.Job != nil {
		c.put(ch.Job)
	}
	for i := range ch.States {
		c.state(&ch.States[i])
	}
	if len(ch.Skip) > 0 {
		c.broken = slices.DeleteFunc(c.broken, func(b Broken) bool { return slices.Contains(ch.Skip, b.Offset) })
		c.version++
	}
}

// forgive removes topics from those to delete.
func (c *Catalog) forgive(topics []string) {
	if len(topics) > 0 && len(c.deletions) > 0 {
		c.deletions = slices.DeleteFunc(c.deletions, func(t string) bool { return slices.Contains(topics, t) })
	}
}

func (c *Catalog) put(j *Job) {
	next := *j
	next.Generation = 1
	if old, ok := c.jobs[j.Name]; ok {
		next.Generation, next.Made = old.Generation+1, old.Made
	} else {
		c.order = append(c.order, j.Name)
		c.next++
	}
	c.jobs[j.Name] = &next
	c.version++
}

func (c *Catalog) state(s *State) {
	old, ok := c.jobs[s.Job]
	if !ok || s.Generation != 0 && s.Generation != old.Generation {
		return
	}
	j := *old
	switch s.State {
	case Paused:
		j.Paused = true
	case Running:
		j.Done = j.Done && j.Failure == nil // a failed job runs again from the start
		j.Paused, j.Failure, j.Resume = false, nil, s.Resume
		j.Generation++
	case Made:
		j.Made = true
	case Done:
		j.Done, j.Failure = true, s.Failure
	case Failed:
		j.Failure = s.Failure
	}
	c.jobs[s.Job] = &j
}
