package inspect

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// Show returns the result of SHOW or LIST. The error is a *lang.Error, or that of the broker for SHOW TOPICS.
func Show(ctx context.Context, e Engine, s Session, st *lang.Show) (*flow.Batch, error) {
	c := e.Catalog()
	switch st.What {
	case "STREAMS", "TABLES":
		return relations(c, st.What == "TABLES"), nil
	case "TOPICS":
		return topics(ctx, e, st.All)
	case "QUERIES", "JOBS":
		return Jobs(e.Jobs(ctx)), nil
	case "FUNCTIONS":
		var rows [][]any
		for _, f := range planner.Functions(e.Functions()) {
			rows = append(rows, []any{f.Name, f.Kind, f.Doc})
		}
		return table([]string{"name", "kind", "doc"}, rows), nil
	case "CONNECTORS":
		return connectors(e.Connectors()), nil
	case "FORMATS":
		return formats(e.Formats()), nil
	case "MODELS":
		var rows [][]any
		for _, m := range c.Models() {
			rows = append(rows, []any{m.Name, m.Type, int32(len(e.Versions(m.Name))), int32(e.Serving(m.Name)), m.Job, m.Topic})
		}
		return table([]string{"name", "type", "versions", "serving", "job", "topic"}, rows), nil
	case "MODEL TYPES":
		return modelTypes(), nil
	case "TYPES":
		var rows [][]any
		for _, t := range c.Types() {
			rows = append(rows, []any{t[0], t[1]})
		}
		return table([]string{"name", "type"}, rows), nil
	case "PROPERTIES":
		return settings(s.Properties), nil
	case "VARIABLES":
		return settings(s.Variables), nil
	}
	return nil, fail(st, 4, "SQ3001", "SHOW %s is not supported yet", st.What)
}

// relations lists streams or tables. A relation whose definition this version cannot read has no columns; the last
// column reports the reason.
func relations(c *catalog.Catalog, tables bool) *flow.Batch {
	var rows [][]any
	for _, r := range c.Relations() {
		if r.Table == tables {
			rows = append(rows, []any{r.Name, r.Topic, r.Key.Name, r.Value.Name, r.Schema()})
		}
	}
	for _, b := range c.Broken() {
		if b.Name != "" && (b.Kind == "TABLE") == tables && (b.Kind == "TABLE" || b.Kind == "STREAM") {
			rows = append(rows, []any{b.Name, nil, nil, nil, "UNAVAILABLE: " + b.Reason})
		}
	}
	return table([]string{"name", "topic", "key_format", "value_format", "columns"}, rows)
}

func settings(m map[string]string) *flow.Batch {
	var rows [][]any
	for k, v := range m {
		rows = append(rows, []any{k, v})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i][0].(string) < rows[j][0].(string) })
	return table([]string{"name", "value"}, rows)
}

// topics lists the topics of the broker. The engine's own topics are included only if all is true.
func topics(ctx context.Context, e Engine, all bool) (*flow.Batch, error) {
	list, err := e.Topics(ctx)
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for _, t := range list {
		if strings.HasPrefix(t.Name, e.Prefix()+".") && !all {
			continue
		}
		n := int64(0)
		for _, p := range t.Partitions {
			n += int64(p.To - p.From)
		}
		rows = append(rows, []any{t.Name, int32(len(t.Partitions)), n})
	}
	return table([]string{"topic", "partitions", "offsets"}, rows), nil
}

// Object returns the result of SHOW CREATE or SHOW MODEL VERSIONS. The error is a *lang.Error.
func Object(e Engine, s Session, st *lang.ShowObject) (*flow.Batch, error) {
	name, c := s.fold(st.Name.Name), e.Catalog()
	if st.What == "MODEL VERSIONS" || st.What == "CREATE MODEL" {
		m, ok := c.Model(name, s.Exact)
		if !ok {
			return nil, planner.NoModel(c, st.Name.Name)
		}
		if st.What == "MODEL VERSIONS" {
			return briefVersions(e, m.Name), nil
		}
		return table([]string{"statement"}, [][]any{{m.Statement + ";"}}), nil
	}
	r, ok := c.Relation(name, s.Exact)
	if !ok {
		return nil, planner.NoRelation(c, st.Name.Name)
	}
	return table([]string{"statement"}, [][]any{{r.Statement + ";"}}), nil
}

// Describe returns the result of DESCRIBE. The error is a *lang.Error if the object does not exist.
func Describe(e Engine, s Session, st *lang.Describe) (*flow.Batch, error) {
	c := e.Catalog()
	name := s.fold(st.Name.Name)
	if st.What == "FUNCTION" {
		return function(e, st)
	}
	if st.What == "MODEL TYPE" {
		return modelType(st)
	}
	if st.What == "CONNECTOR" || st.What == "FORMAT" {
		return declared(e, st)
	}
	if m, ok := c.Model(name, s.Exact); ok && (st.What == "MODEL" || st.What == "") {
		return model(e, m, st)
	}
	if st.What == "MODEL" {
		return nil, planner.NoModel(c, st.Name.Name)
	}
	r, ok := c.Relation(name, s.Exact)
	if !ok {
		return nil, planner.NoRelation(c, st.Name.Name)
	}
	if st.Extended {
		return extended(e, r)
	}
	var rows [][]any
	for _, col := range r.Columns {
		rows = append(rows, []any{col.Name, flow.TypeName(col.Type), role(r, col)})
	}
	return table([]string{"column", "type", "role"}, rows), nil
}

func role(r *catalog.Relation, c catalog.Column) string {
	switch {
	case c.Role == catalog.Key && r.Table:
		return "PRIMARY KEY"
	case c.Role == catalog.Key:
		return "KEY"
	case c.Role == catalog.Headers:
		return "HEADERS"
	case c.Role == catalog.Header:
		return "HEADER('" + c.Header + "')"
	}
	return ""
}

// function returns the documentation of a function and its examples.
func function(e Engine, st *lang.Describe) (*flow.Batch, error) {
	name := strings.ToUpper(st.Name.Name.Text)
	all := planner.Functions(e.Functions())
	if ours, ok := lang.Ours(name); ok && !slices.ContainsFunc(all, func(f planner.Function) bool { return f.Name == name }) {
		name = ours
	}
	var rows [][]any
	for _, f := range all {
		if f.Name != name {
			continue
		}
		rows = append(rows, []any{f.Name, f.Kind, f.Doc, nil, nil})
		for _, ex := range f.Examples {
			rows = append(rows, []any{f.Name, f.Kind, "example", ex.SQL, text(ex.Want)})
		}
	}
	if rows == nil {
		err := planner.NoFunction(e.Functions(), st.Name, name)
		err.Len = len(name)
		return nil, err
	}
	return table([]string{"function", "kind", "doc", "example", "result"}, rows), nil
}

// model returns the properties of a model and its versions, or of one version. EXTENDED adds the manifests.
func model(e Engine, m *catalog.Model, st *lang.Describe) (*flow.Batch, error) {
	t, err := e.Training(m)
	if err != nil {
		return nil, err
	}
	number := st.Name.Version.Number
	if all := len(e.Versions(m.Name)); number > all {
		return nil, fail(st.Name, len(st.Name.Name.Text), "SQ6003", "model %q has no version %d", m.Name, number)
	}
	rows := [][]any{{"model", m.Name}, {"type", m.Type}, {"job", m.Job}, {"topic", m.Topic}}
	var inputs []string
	for _, in := range t.Inputs {
		inputs = append(inputs, in.Name+" "+flow.TypeName(in.Type))
	}
	rows = append(rows, []any{"inputs", strings.Join(inputs, ", ")})
	if t.Target.Type != nil {
		rows = append(rows, []any{"target", t.Target.Name + " " + flow.TypeName(t.Target.Type)})
	}
	for _, v := range e.Versions(m.Name) {
		if number > 0 && v.Number != number {
			continue
		}
		s := fmt.Sprintf("%s, %d rows", v.Status, v.Manifest.Rows["used"])
		if v.Err != nil {
			s += ": " + v.Err.Error()
		}
		rows = append(rows, []any{fmt.Sprintf("version %d", v.Number), s})
		if st.Extended {
			rows = append(rows, []any{fmt.Sprintf("manifest of version %d", v.Number), manifest(v.Manifest)})
		}
	}
	rows = append(rows, []any{"statement", m.Statement})
	return table([]string{"property", "value"}, rows), nil
}

// Plan returns the rows of EXPLAIN: the operators of each stage, with inputs indented. reads returns the lines that
// describe the offsets of a scan. promise, if it is not empty, is a first line about the delivery guarantee.
func Plan(plan []planner.Stage, promise string,
	reads func(stage int, l planner.Leaf) ([]string, error)) (*flow.Batch, error) {
	var rows [][]any
	if promise != "" {
		rows = append(rows, []any{int32(0), promise})
	}
	for i, s := range plan {
		for _, line := range planner.Explain(s) {
			rows = append(rows, []any{int32(i + 1), line})
		}
		for _, l := range s.Leaves {
			lines, err := reads(i, l)
			if err != nil {
				return nil, err
			}
			for _, line := range lines {
				rows = append(rows, []any{int32(i + 1), line})
			}
		}
	}
	return table([]string{"stage", "plan"}, rows), nil
}

func fail(at lang.Node, length int, code, format string, args ...any) *lang.Error {
	return &lang.Error{Code: code, Stage: lang.StagePlan, Pos: at.Position(), Len: length,
		Msg: fmt.Sprintf(format, args...)}
}
