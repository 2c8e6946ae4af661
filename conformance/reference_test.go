package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/conformance/reference"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/topic"
)

// TestReference runs the reference evaluator on every case in which a job fills a topic. Its results must be
// those that the case expects. It must report the cases that it does not cover.
func TestReference(t *testing.T) {
	cases, err := Find([]string{"cases"})
	if err != nil {
		t.Fatal(err)
	}
	covered, left := 0, map[string]int{}
	for _, c := range cases {
		reason, problem := evaluate(c)
		switch {
		case problem != nil:
			t.Errorf("%s:%d: %s: %s\nexpected %s\ngot      %s", c.File, problem.Line, c.ID, problem.Msg, problem.Expected,
				problem.Got)
		case reason != "":
			left[reason]++
		default:
			covered++
		}
	}
	reasons := slices.Collect(maps.Keys(left))
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(cmp.Compare(left[b], left[a]), cmp.Compare(a, b)) })
	for i, r := range reasons {
		reasons[i] = fmt.Sprintf("%d: %s", left[r], r)
	}
	t.Logf("%d of %d cases covered; not covered are %s", covered, len(cases), strings.Join(reasons, "; "))
	if covered < 120 {
		t.Errorf("only %d cases are covered", covered)
	}
}

// evaluate judges the reference evaluator's results for a case. reason is why it cannot evaluate the case.
func evaluate(c *Case) (reason string, p *Problem) {
	switch {
	case c.Error != nil:
		return "an error is expected", nil
	case len(c.Outputs) == 0:
		return "nothing is expected of a topic", nil
	}
	rules, _ := dialect.Named(c.Dialect)
	o := reference.Options{Dialect: rules, Properties: map[string]string{}, Topics: map[string]int32{},
		Now: Now.UnixMilli()}
	for _, property := range c.Properties {
		o.Properties[property.Name] = property.Value
	}
	m := &machine{c: c, own: embedded, relations: map[string][]*catalog.Relation{}, formats: map[string]*Topic{},
		parts: map[string]*[2]part{}}
	for i := range c.Topics {
		m.formats[c.Topics[i].Name] = &c.Topics[i]
		o.Topics[c.Topics[i].Name] = max(c.Topics[i].Partitions, 1)
	}
	bad := func(err error) (string, *Problem) {
		if u := new(reference.Uncovered); errors.As(err, &u) {
			return u.What, nil
		}
		return "", &Problem{Line: c.Line, Msg: err.Error()}
	}
	s, err := reference.Plan(c.SQL.SQL, o)
	if err != nil {
		return bad(err)
	}
	if s.Jobs() == 0 {
		return "no job", nil
	}
	partitions := o.Topics
	for _, r := range s.Catalog.Relations() {
		partitions[r.Topic] = r.Partitions
		if list := m.relations[r.Topic]; r.Job == "" { // the format of a declared topic is that of its declaration
			m.relations[r.Topic] = append([]*catalog.Relation{r}, list...)
		} else {
			m.relations[r.Topic] = append(list, r)
		}
	}
	inputs, err := m.inputs(s, partitions)
	if err != nil {
		return "", &Problem{Line: c.Line, Msg: err.Error()}
	}
	outputs, err := s.Evaluate(inputs)
	if err != nil {
		return bad(err)
	}
	got := &actual{topics: map[string]int{}}
	for name, n := range partitions {
		got.topics[name] = int(n)
	}
	for p, list := range s.Inserted { // inserted rows are not inputs of the case
		var first []reference.Output
		for _, r := range list {
			first = append(first, reference.Output{Partition: p.ID, Record: r.Record})
		}
		outputs[p.Topic] = append(first, outputs[p.Topic]...)
	}
	for name, list := range outputs {
		if err := m.decodeAll(got, name, list); err != nil {
			return "", &Problem{Line: c.Line, Msg: err.Error()}
		}
	}
	for i := range c.Outputs {
		for _, r := range c.Outputs[i].Records {
			if strings.HasPrefix(r.Topic, "streamql.") {
				return "the case expects dead letters", nil
			}
		}
		if p := (comparer{tolerance: c.Tolerance}).output(&c.Outputs[i], got); p != nil {
			return "", p
		}
	}
	return "", nil
}

// inputs encodes a case's inputs. Their offsets follow those of the rows that its statements insert.
func (m *machine) inputs(s *reference.Script, partitions map[string]int32) (map[topic.Partition][]reference.Record,
	error) {
	out := map[topic.Partition][]reference.Record{}
	for p, list := range s.Inserted {
		out[p] = append(out[p], list...)
	}
	for _, in := range append(append([]Record(nil), m.c.Input...), m.c.After...) {
		if _, ok := partitions[in.Topic]; !ok {
			partitions[in.Topic] = 1
		}
		p, r, err := m.encode(&in, partitions[in.Topic])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", in.Line, err)
		}
		out[p] = append(out[p], reference.Record{Offset: topic.Offset(len(out[p])), Record: r})
	}
	return out, nil
}

// decodeAll adds the records of a topic in the order of collect: partition by partition.
func (m *machine) decodeAll(got *actual, name string, list []reference.Output) error {
	slices.SortStableFunc(list, func(a, b reference.Output) int { return cmp.Compare(a.Partition, b.Partition) })
	key, value, window := m.specs(name, true)
	parts := [2]part{{spec: key}, {spec: value}}
	for _, o := range list {
		f := topic.Fetch{Partition: topic.Partition{Topic: name, ID: o.Partition}, Offsets: []topic.Offset{0},
			Times: []int64{o.Time}, Headers: [][]topic.Header{o.Headers}}
		f.Key.Append(o.Key)
		f.Value.Append(o.Value)
		out, err := decode(&parts, window, &f, 0)
		if err != nil {
			return err
		}
		got.outputs = append(got.outputs, out)
	}
	return nil
}
