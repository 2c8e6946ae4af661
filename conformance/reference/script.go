package reference

import (
	"fmt"
	"maps"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Options contains the inputs of a script's plan other than its text.
type Options struct {
	Dialect    dialect.Set
	Properties map[string]string // as SET sets them
	Topics     map[string]int32  // the topics that exist before the script, with their numbers of partitions
	Now        int64             // ms since the epoch: the timestamp of rows of INSERT VALUES without one
}

// Script contains the jobs of a text, planned with a catalog of its own.
type Script struct {
	Catalog *catalog.Catalog
	// Inserted contains the rows of INSERT VALUES, as records from offset 0. They are inputs for Evaluate,
	// unless the caller reads them from a broker.
	Inserted map[topic.Partition][]Record

	o    planner.Options
	now  int64
	jobs []planned
}

type planned struct {
	name   string
	stages []planner.Stage
}

// Plan plans a script: CREATE STREAM and TABLE, over a topic or AS SELECT, INSERT INTO, SET and CREATE TYPE.
// A job reads its topics from the beginning, as with auto.offset.reset = 'earliest', unless a scan clause
// sets the offset. It skips queries and SHOW, because they write nothing. Any other statement is an
// [Uncovered] error.
func Plan(text string, o Options) (*Script, error) {
	s := &Script{Catalog: catalog.New(), Inserted: map[topic.Partition][]Record{}, now: o.Now}
	s.o = planner.Options{Catalog: s.Catalog, Functions: udf.Builtins(), Dialect: o.Dialect,
		Properties: map[string]string{"auto.offset.reset": "earliest"}}
	maps.Copy(s.o.Properties, o.Properties)
	if o.Properties["sql.identifiers"] == "upper" {
		s.o.Dialect = s.o.Dialect.With(dialect.UpperNames)
	}
	topics := map[string]int32{}
	maps.Copy(topics, o.Topics)
	list, err := lang.Parse(text)
	if err != nil {
		return nil, err
	}
	for _, st := range list {
		if err := s.plan(st, topics); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Script) plan(st lang.Statement, topics map[string]int32) error {
	name := fmt.Sprintf("JOB_%d", len(s.jobs))
	switch st := st.(type) {
	case *lang.CreateSource:
		if st.Query == nil {
			r, err := planner.Declare(st, s.o)
			if err != nil {
				return err
			}
			if !r.AtBroker() {
				return uncovered("connector %s", r.Connector)
			}
			s.put(r, topics)
			return nil
		}
		if _, taken := s.Catalog.Relation(st.Name.Fold(s.o.Dialect.Has(dialect.UpperNames)), true); taken {
			return uncovered("a second statement for one name")
		}
		p, err := planner.Fill(st, name, s.o)
		if err != nil {
			return err
		}
		s.put(p.Result, topics)
		return s.add(name, p.Stages)
	case *lang.Insert:
		if st.Query == nil {
			return s.insert(st)
		}
		p, err := planner.Insert(st, name, s.o)
		if err != nil {
			return err
		}
		return s.add(name, p.Stages)
	case *lang.CreateType:
		t, err := planner.Type(st.Type, s.o)
		if err != nil {
			return err
		}
		s.change(catalog.Change{Type: &catalog.NamedType{Name: st.Name.Text, Type: t}})
	case *lang.Set:
		key := strings.ToLower(st.Key.Value)
		if strings.HasPrefix(key, "ksql.functions.") {
			return uncovered("property %s", key)
		}
		v, err := planner.Literal(st.Value)
		if err != nil {
			return err
		}
		s.o.Properties[key] = v
		if key == "sql.identifiers" && v == "upper" {
			s.o.Dialect = s.o.Dialect.With(dialect.UpperNames)
		}
	default:
		if st.Traits().Effect != lang.Asks || lang.Planned(st) != nil {
			return uncovered("statement %s", st.Traits().Name)
		}
	}
	return nil
}

// change replaces the catalog with its successor.
func (s *Script) change(ch catalog.Change) {
	s.Catalog = s.Catalog.Apply(ch)
	s.o.Catalog = s.Catalog
}

func (s *Script) add(name string, stages []planner.Stage) error {
	for _, st := range stages {
		for _, l := range st.Leaves {
			if !l.Earliest && l.Scan.Since == nil {
				return uncovered("a job that begins at the end of a topic")
			}
		}
	}
	s.jobs = append(s.jobs, planned{name, stages})
	return nil
}

// put adds a relation and its topic. An existing topic determines the relation's number of partitions.
func (s *Script) put(r *catalog.Relation, topics map[string]int32) {
	if n, ok := topics[r.Topic]; ok {
		r.Partitions = n
	}
	r.Partitions = max(r.Partitions, 1)
	topics[r.Topic] = r.Partitions
	s.change(catalog.Change{Relation: r})
}

func (s *Script) insert(st *lang.Insert) error {
	r, rows, err := planner.Values(st, s.o)
	if err != nil {
		return err
	}
	var key format.Codec
	if len(r.Key.Fields) > 0 {
		if key, err = format.New(r.Key); err != nil {
			return err
		}
	}
	value, err := format.New(r.Value)
	if err != nil {
		return err
	}
	for _, row := range rows {
		p, rec, err := op.Encode(r, row.Columns, row.Time, key, value)
		if err != nil {
			return err
		}
		if row.Time == nil {
			rec.Time = s.now
		}
		s.Inserted[p] = append(s.Inserted[p], Record{topic.Offset(len(s.Inserted[p])), rec})
	}
	return nil
}

// Jobs returns the number of jobs of the script.
func (s *Script) Jobs() int { return len(s.jobs) }

// Evaluate runs the jobs in order. Each reads all records of its topics: the inputs and the output of the
// jobs before it. The result is the jobs' output by topic.
func (s *Script) Evaluate(inputs map[topic.Partition][]Record) (map[string][]Output, error) {
	topics := map[topic.Partition][]Record{}
	for p, list := range inputs {
		topics[p] = append([]Record(nil), list...)
	}
	out := map[string][]Output{}
	for _, j := range s.jobs {
		got, err := Evaluate(j.stages, topics)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.name, err)
		}
		for name, list := range got {
			out[name] = append(out[name], list...)
			for _, o := range list {
				p := topic.Partition{Topic: name, ID: o.Partition}
				next := topic.Offset(0)
				if n := len(topics[p]); n > 0 {
					next = topics[p][n-1].Offset + 1
				}
				topics[p] = append(topics[p], Record{next, o.Record})
			}
		}
	}
	return out, nil
}

// Job plans a text and evaluates it over the inputs and the rows that the text inserts.
func Job(text string, o Options, inputs map[topic.Partition][]Record) (map[string][]Output, error) {
	s, err := Plan(text, o)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(s.Inserted)
	for p, list := range inputs {
		all[p] = append(all[p], list...)
	}
	return s.Evaluate(all)
}
