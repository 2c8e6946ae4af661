package catalog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
)

// full returns an entry with all members set, so that a member without an encoding in the log
// is noticed.
func full() *Entry {
	deep := flow.Struct(
		flow.Field("a b", flow.Array(flow.Map(flow.String, flow.Decimal(12, 3)))),
		flow.Field("t", flow.Timestamp),
	)
	r := &Relation{
		Name:            "r",
		Table:           true,
		Topic:           "t",
		Partitions:      3,
		Timestamp:       "ts",
		TimestampFormat: "yyyy",
		Window:          &Windowing{Kind: "TUMBLING", Size: 5},
		With: map[string]string{
			"k": "v",
		},
		Connector: "files",
		ReadOnly:  true,
		Statement: "CREATE ..",
		Job:       "j",
		OnError:   "skip",
		Variables: map[string]string{"a": "b"},
		Root:      "/a",
		Path:      "b",
		Columns: []Column{
			{Name: "id", Type: flow.String, Role: Key},
			{Name: "h", Type: flow.Bytes, Role: Header, Header: "x"},
			{Name: "d", Type: deep},
		},
		Key: format.Spec{
			Name:      "KAFKA",
			Fields:    []arrow.Field{flow.Field("id", flow.String)},
			Unwrapped: true,
			Options:   map[string]string{},
		},
		Value: format.Spec{
			Name:    "CSV",
			Fields:  []arrow.Field{flow.Field("d", deep)},
			Options: map[string]string{"delimiter": "TAB"},
		},
		Make: &Topic{Name: "t", Partitions: 3, Use: Data, RetentionMs: 7, Compact: true, Replicas: 2},
	}
	reading := Reading{
		Dialect:    "ksql",
		Properties: map[string]string{"p": "1"},
		Variables:  map[string]string{"v": "2"},
		Relations:  []*Relation{r},
		Types:      map[string]NamedType{"T": {Name: "T", Type: deep}},
	}
	for _, v := range []any{nil, true, int32(-7), int64(1) << 60, float32(0.1), 1e300, "ü", []byte{0, 255}} {
		a, _ := ArgOf(v)
		reading.Args = append(reading.Args, a)
	}
	p := topic.Partition{Topic: "c", ID: 2}
	j := &Job{
		Name:      "j",
		Kind:      "CTAS",
		Statement: "CREATE ..",
		Reading:   reading,
		Fills:     "r",
		Reads:     []string{"s"},
		Uses:      []string{"m"},
		Waits:     []Version{{"m", 2}},
		Bounded:   true,
		Spans:     [][]topic.Span{{{Partition: p, From: 4, To: topic.End}}},
		Guarantee: "at_least_once",
		Shape:     "0.1 x",
		Topics: []Topic{
			{Name: "c", Partitions: 3, Use: Changelog},
		},
		Tasks:      []topic.Partition{p},
		Made:       true,
		Generation: 4,
		Resume:     "STATE",
		Paused:     true,
		Done:       true,
		Failure:    &Failure{Code: "SQ1", Cause: "c", Cure: "d", By: "e", At: 5},
	}
	return &Entry{
		Format:    EntryFormat,
		ID:        "i",
		At:        9,
		By:        "b",
		Kind:      "TABLE",
		Name:      "r",
		Statement: "CREATE ..",
		Change: Change{End: []string{"a"}, Drop: []string{"b"},
			DropType: "c", Delete: []string{"d"}, Deleted: []string{"e"}, Type: &NamedType{Name: "T", Type: deep}, Relation: r,
			Model: &Model{Name: "m", Statement: "s", Reading: reading, Job: "j", Type: "kmeans", Topic: "mt"}, Job: j,
			States: []State{
				{Job: "j", State: Failed, Resume: "OFFSETS", Failure: j.Failure, Generation: 4},
			}, Skip: []int64{3}},
	}
}

// unset lists the members of a value that are zero.
func unset(v reflect.Value, path string) (out []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return []string{path}
		}
		return unset(v.Elem(), path)
	case reflect.Struct:
		if v.Type().PkgPath() == "github.com/apache/arrow/go/v15/arrow" {
			return nil
		}
		for i := range v.NumField() {
			out = append(out, unset(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
		return out
	}
	if v.IsZero() {
		return []string{path}
	}
	return nil
}

// TestEntry: decoding an encoded entry returns it, member by member.
func TestEntry(t *testing.T) {
	e := full()
	if missing := unset(reflect.ValueOf(e), "entry"); len(missing) > 0 {
		known := []string{"entry.Change.Relation.Key.Options", "entry.Change.Relation.Value.Unwrapped"}
		for _, m := range missing {
			if !slices.Contains(known, m) {
				t.Errorf("%s is not set, so nothing shows that it is kept", m)
			}
		}
	}
	value, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Decode(value, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || string(again) != string(value) {
		t.Errorf("read and written again it is\n%s, %v; it was\n%s", again, err, value)
	}
	want, have := fmt.Sprintf("%+v", e.Change.Job.Reading.Args), fmt.Sprintf("%+v", got.Change.Job.Reading.Args)
	if want != have {
		t.Errorf("arguments %s, want %s", have, want)
	}
	if !flow.SameType(got.Change.Type.Type, e.Change.Type.Type) ||
		!reflect.DeepEqual(got.Change.Job.Spans, e.Change.Job.Spans) {
		t.Errorf("%+v", got.Change)
	}
}

// TestArgs: decoded arguments have their original types.
func TestArgs(t *testing.T) {
	for _, v := range []any{nil, true, int32(-7), int64(1) << 60, float32(0.1), 1e300, "ü", []byte{0, 255}} {
		a, ok := ArgOf(v)
		back, err := a.Go()
		if !ok || err != nil || !reflect.DeepEqual(back, v) {
			t.Errorf("%T %v became %T %v, %v", v, v, back, back, err)
		}
	}
	if _, ok := ArgOf(struct{}{}); ok {
		t.Error("a struct is an argument")
	}
	if _, err := (Arg{Kind: "complex"}).Go(); err == nil {
		t.Error("an argument of an unknown kind is read")
	}
}

// TestApply: a catalog never changes, and changes are applied in order whatever they refer to.
func TestApply(t *testing.T) {
	c := New()
	next := c.Apply(
		Change{Job: &Job{Name: "a"}},
		Change{Job: &Job{Name: "b"}},
		Change{States: []State{{Job: "a", State: Paused}, {Job: "nobody", State: Done}}},
	)
	if len(c.Jobs()) != 0 || len(next.Jobs()) != 2 || next.Next() != 2 {
		t.Fatalf("%d and %d jobs, next %d", len(c.Jobs()), len(next.Jobs()), next.Next())
	}
	version := next.Version()
	a, _ := next.Job("A")
	if a == nil || a.Runs() || a.Generation != 1 {
		t.Errorf("%+v", a)
	}
	for i, step := range []struct {
		state      State
		runs       bool
		generation int
	}{
		// of another generation: ignored
		{State{Job: "a", State: Failed, Generation: 7, Failure: &Failure{}}, false, 1},
		{State{Job: "a", State: Running}, true, 2},
		{State{Job: "a", State: Failed, Generation: 2, Failure: &Failure{Code: "x"}}, false, 2},
		{State{Job: "a", State: Made}, false, 2},
		{State{Job: "a", State: Running, Resume: "OFFSETS"}, true, 3},
		{State{Job: "a", State: Done, Generation: 3, Failure: &Failure{Code: "y"}}, false, 3},
		{State{Job: "a", State: Running}, true, 4}, // a failed job starts over
		{State{Job: "a", State: Done, Generation: 4}, false, 4},
	} {
		next = next.Apply(Change{States: []State{step.state}})
		if j, _ := next.Job("a"); j.Runs() != step.runs || j.Generation != step.generation {
			t.Errorf("step %d: %+v", i, j)
		}
	}
	if next.Version() != version {
		t.Error("the state of a job has changed the version of the definitions")
	}
	next = next.Apply(
		Change{Job: &Job{Name: "a"}},
		Change{End: []string{"b"}},
		Change{Delete: []string{"x", "y"}},
		Change{Deleted: []string{"x"}},
	)
	if j, _ := next.Job("a"); j.Generation != 5 || !j.Made || next.Next() != 2 || len(next.Jobs()) != 1 ||
		!slices.Equal(next.Deletions(), []string{"y"}) {
		t.Errorf("%+v, next %d, %v", j, next.Next(), next.Deletions())
	}
}

// FuzzDecode: any record value is an entry or has a reason.
func FuzzDecode(f *testing.F) {
	value, err := full().Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(value), `{}`, ``, `null`, `[]`, `{"format":2}`, `{"format":2,"change":{"relation":{}}}`, `{"format":2,"change":{"type":{"name":"x","type":{"name":"MAP"}}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		e, broken, err := Decode(value, 3)
		if (err == nil) == (e == nil) || err != nil && (broken.Reason == "" || broken.Offset != 3) {
			t.Fatalf("%+v, %+v, %v", e, broken, err)
		}
		if err == nil {
			New().Apply(e.Change)
			if _, err := json.Marshal(e); err != nil {
				t.Fatal(err)
			}
		}
	})
}
