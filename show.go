package streamql

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

func table(names []string, rows [][]any) *Rows {
	types := make([]flow.Type, len(names))
	for i := range names {
		types[i] = flow.String
		for _, r := range rows {
			switch r[i].(type) {
			case int32:
				types[i] = flow.Int
			case int64:
				types[i] = flow.Bigint
			}
		}
	}
	return staticRows(staticBatch(names, types, rows))
}

func (e *Engine) show(ctx context.Context, st *lang.Show) (*Result, error) {
	var names []string
	var rows [][]any
	switch st.What {
	case "STREAMS", "TABLES":
		names = []string{"name", "topic", "key_format", "value_format", "columns"}
		for _, r := range e.catalog.Relations() {
			if r.Table == (st.What == "TABLES") {
				rows = append(rows, []any{r.Name, r.Topic, r.Key.Name, r.Value.Name, r.Schema()})
			}
		}
	case "TOPICS":
		return e.showTopics(ctx, st.All)
	case "QUERIES", "JOBS":
		return &Result{Rows: staticRows(e.jobRows())}, nil
	case "FUNCTIONS":
		names = []string{"name", "kind", "doc"}
		for _, f := range e.functions.All() {
			rows = append(rows, []any{f.Name, f.Kind, f.Doc})
		}
	case "MODELS":
		names = []string{"name", "type", "versions", "serving", "job", "topic"}
		for _, m := range e.catalog.Models() {
			_, serving, _ := e.models.Get(m.Name, 0)
			rows = append(rows, []any{m.Name, m.Type, int32(len(e.models.Versions(m.Name))), int32(serving), m.Job, m.Topic})
		}
	case "TYPES":
		names = []string{"name", "type"}
		for _, t := range e.catalog.Types() {
			rows = append(rows, []any{t[0], t[1]})
		}
	case "PROPERTIES", "VARIABLES":
		names = []string{"name", "value"}
		for k, v := range e.properties {
			name, isVariable := cutVariable(k)
			if isVariable == (st.What == "VARIABLES") {
				rows = append(rows, []any{name, v})
			}
		}
		sort.Slice(rows, func(i, j int) bool { return rows[i][0].(string) < rows[j][0].(string) })
	default:
		return nil, &Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 4, Msg: "SHOW " + string(st.What) + " is not supported yet"}
	}
	return &Result{Rows: table(names, rows)}, nil
}

func (e *Engine) showTopics(ctx context.Context, all bool) (*Result, error) {
	topics, err := e.broker.Topics(ctx)
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for _, t := range topics {
		if strings.HasPrefix(t.Name, e.prefix+".") && !all {
			continue
		}
		n := int64(0)
		for _, p := range t.Partitions {
			n += int64(p.To - p.From)
		}
		rows = append(rows, []any{t.Name, int32(len(t.Partitions)), n})
	}
	return &Result{Rows: table([]string{"topic", "partitions", "offsets"}, rows)}, nil
}

func (e *Engine) showObject(st *lang.ShowObject) (*Result, error) {
	name := st.Name.Name.Text
	switch st.What {
	case "MODEL VERSIONS":
		m, ok := e.catalog.Model(name, e.ksql)
		if !ok {
			return nil, e.noModel(st.Name.Name)
		}
		return &Result{Rows: staticRows(versionBatch(e.versionRows(m.Name)))}, nil
	case "CREATE MODEL":
		m, ok := e.catalog.Model(name, e.ksql)
		if !ok {
			return nil, e.noModel(st.Name.Name)
		}
		return &Result{Rows: table([]string{"statement"}, [][]any{{m.Statement + ";"}})}, nil
	}
	r, ok := e.catalog.Relation(name, e.ksql)
	if !ok {
		return nil, e.noRelation(st.Name.Name)
	}
	return &Result{Rows: table([]string{"statement"}, [][]any{{r.Statement + ";"}})}, nil
}

func (e *Engine) noRelation(name lang.Name) error {
	var legal []string
	for _, r := range e.catalog.Relations() {
		legal = append(legal, r.Name)
	}
	return unknown("SQ2001", "%q is not a stream or table", name, legal)
}

func (e *Engine) describe(_ context.Context, st *lang.Describe) (*Result, error) {
	name := st.Name.Name.Fold(e.options(nil).Upper)
	if st.What == "FUNCTION" {
		return e.describeFunction(st)
	}
	if m, ok := e.catalog.Model(name, e.ksql); ok && (st.What == "MODEL" || st.What == "") {
		return &Result{Rows: e.describeModel(m, st.Name.Version.Number)}, nil
	}
	if st.What == "MODEL" {
		return nil, e.noModel(st.Name.Name)
	}
	r, ok := e.catalog.Relation(name, e.ksql)
	if !ok {
		return nil, e.noRelation(st.Name.Name)
	}
	var rows [][]any
	for _, c := range r.Columns {
		rows = append(rows, []any{c.Name, flow.TypeName(c.Type), role(r, c)})
	}
	return &Result{Rows: table([]string{"column", "type", "role"}, rows)}, nil
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

func (e *Engine) describeFunction(st *lang.Describe) (*Result, error) {
	name := strings.ToUpper(st.Name.Name.Text)
	var rows [][]any
	for _, f := range e.functions.All() {
		if f.Name != name {
			continue
		}
		rows = append(rows, []any{f.Name, f.Kind, f.Doc, nil, nil})
		for _, ex := range e.functions.Examples(name) {
			rows = append(rows, []any{f.Name, f.Kind, "example", ex.SQL, ex.Want})
		}
	}
	if rows == nil {
		err := &Error{Code: "SQ2005", Stage: lang.StagePlan, Pos: st.Name.Position(), Len: len(name), Msg: "function " + name + " does not exist"}
		var legal []string
		for _, f := range e.functions.All() {
			legal = append(legal, f.Name)
		}
		if near := lang.Suggest(name, legal); near != "" {
			err.Label = "did you mean " + near + "?"
		}
		return nil, err
	}
	return &Result{Rows: table([]string{"function", "kind", "doc", "example", "result"}, rows)}, nil
}

func (e *Engine) describeModel(m *catalog.Model, number int) *Rows {
	t := e.trainings[m.Name]
	rows := [][]any{{"model", m.Name}, {"type", m.Type}, {"job", m.Job}, {"topic", m.Topic}}
	var inputs []string
	for _, in := range t.Inputs {
		inputs = append(inputs, in.Name+" "+flow.TypeName(in.Type))
	}
	rows = append(rows, []any{"inputs", strings.Join(inputs, ", ")})
	if t.Target.Type != nil {
		rows = append(rows, []any{"target", t.Target.Name + " " + flow.TypeName(t.Target.Type)})
	}
	for _, v := range e.models.Versions(m.Name) {
		if number > 0 && v.Number != number {
			continue
		}
		s := fmt.Sprintf("%s, %d rows", v.Status, v.Manifest.Rows["used"])
		if v.Err != nil {
			s += ": " + v.Err.Error()
		}
		rows = append(rows, []any{fmt.Sprintf("version %d", v.Number), s})
	}
	rows = append(rows, []any{"statement", m.Statement})
	return table([]string{"property", "value"}, rows)
}

// explain is EXPLAIN: the operators of each stage, inputs indented, with the offsets they read.
func (e *Engine) explain(ctx context.Context, st *lang.Explain, args []any) (*Rows, error) {
	inner := st.Statement
	if inner == nil {
		j, ok := e.jobs[st.Query.Text]
		if !ok {
			return nil, &Error{Code: "SQ2023", Stage: lang.StagePlan, Pos: st.Query.Position(), Len: len(st.Query.Text), Msg: fmt.Sprintf("there is no job %q", st.Query.Text)}
		}
		list, err := lang.Parse(j.statement)
		if err != nil {
			return nil, err
		}
		inner = list[0]
	}
	stages, err := e.planOf(inner, args)
	if err != nil {
		return nil, err
	}
	var rows [][]any
	if promise, ok := e.promise(inner, st); ok {
		rows = append(rows, []any{int32(0), promise})
	}
	for i, s := range stages {
		for _, line := range planner.Explain(s) {
			rows = append(rows, []any{int32(i + 1), line})
		}
		for _, l := range s.Leaves {
			spans, err := e.spans(ctx, l)
			if err != nil {
				if l.Relation == nil {
					continue // an exchange's topic is made when the job is
				}
				return nil, err
			}
			for _, sp := range spans {
				to := "and on"
				if sp.To < 1<<62 {
					to = fmt.Sprintf("to %d", sp.To)
				}
				rows = append(rows, []any{int32(i + 1), fmt.Sprintf("  reads %s from offset %d %s (%s)", sp.Partition, sp.From, to, tier(l.Relation))})
			}
		}
	}
	return table([]string{"stage", "plan"}, rows), nil
}

// promise says what a job that was made with another guarantee than the default, or would be now, promises.
func (e *Engine) promise(inner lang.Statement, st *lang.Explain) (string, bool) {
	_, query := inner.(*lang.QueryStatement)
	weak := !query && e.properties[guarantee] == atLeastOnce
	if st.Statement == nil {
		weak = e.guarantees[st.Query.Text] == atLeastOnce
	}
	if !weak || !e.shared() {
		return "", false
	}
	return "Guarantee at_least_once: rows may come twice after a failure", true
}

func tier(r *catalog.Relation) string {
	if r != nil && r.Connector != "" {
		return r.Connector
	}
	return "broker"
}

// planOf plans a statement without running it.
func (e *Engine) planOf(st lang.Statement, args []any) ([]planner.Stage, error) {
	opts := e.options(args)
	switch st := st.(type) {
	case *lang.QueryStatement:
		p, err := planner.Query(st.Query, opts)
		if err != nil {
			return nil, err
		}
		return p.Stages, nil
	case *lang.CreateSource:
		if st.Query != nil {
			p, err := planner.Fill(st, "EXPLAIN", opts)
			if err != nil {
				return nil, err
			}
			return p.Stages, nil
		}
	case *lang.Insert:
		if st.Query != nil {
			p, err := planner.Insert(st, "EXPLAIN", opts)
			if err != nil {
				return nil, err
			}
			return p.Stages, nil
		}
	case *lang.CreateModel:
		t, err := planner.Model(st, nil, "EXPLAIN", opts)
		if err != nil {
			return nil, err
		}
		return t.Stages, nil
	}
	return nil, &Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: st.Position(), Len: 1, Msg: "this statement has no plan"}
}

// Explain returns the plan of a statement as text.
func (e *Engine) Explain(text string) (string, error) {
	rows, err := e.Query(e.ctx, "EXPLAIN "+text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for batch, err := range rows.Batches() {
		if err != nil {
			return "", err
		}
		for i := range batch.Rows() {
			fmt.Fprintln(&b, flow.Value(batch.Column(1), i))
		}
	}
	return b.String(), nil
}
