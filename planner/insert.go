package planner

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf"
)

// Row is one row of INSERT INTO .. VALUES: an array of length 1 per column of the relation, and the
// event time in ms if the statement sets ROWTIME.
type Row struct {
	Columns []arrow.Array
	Time    *int64
}

// Values binds INSERT INTO .. VALUES. It returns the relation and the rows.
func Values(st *lang.Insert, o Options) (*catalog.Relation, []Row, error) {
	b := newBinder(o, "")
	r, err := b.relation(st.Into, st.Into)
	if err != nil {
		return nil, nil, err
	}
	if r.ReadOnly {
		return nil, nil, fail(st.Into, "SQ3013", "%s is a SOURCE, which is read-only", quote(r.Name))
	}
	if err := b.writable(st.Into, r); err != nil {
		return nil, nil, err
	}
	if r.Window != nil {
		return nil, nil, fail(st.Into, "SQ3013", "%s has windowed keys: INSERT VALUES cannot write it", quote(r.Name))
	}
	at, timeAt, err := b.targets(st, r)
	if err != nil {
		return nil, nil, err
	}
	var rows []Row
	for _, values := range st.Rows {
		row, err := b.insertRow(r, values, at, timeAt)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, row)
	}
	return r, rows, nil
}

// writable refuses a relation whose connector or formats cannot write.
func (b *binder) writable(at lang.Node, r *catalog.Relation) error {
	c, err := b.connectorOf(at, r)
	if err != nil {
		return err
	}
	if !c.Writes {
		return fail(at, "SQ3013", "%s reads from connector %s: it cannot be written", quote(r.Name), c.Name)
	}
	for _, name := range []string{r.Key.Name, r.Value.Name} {
		if f, ok := b.Formats.Format(name); ok && f.ReadOnly {
			return fail(at, "SQ3013", "%s is in format %s, which is only read", quote(r.Name), f.Name)
		}
	}
	return nil
}

// targets finds the column each value goes to; -1 is ROWTIME.
func (b *binder) targets(st *lang.Insert, r *catalog.Relation) (at []int, timeAt int, err error) {
	timeAt = -1
	s := &scope{exact: b.exact()}
	for i, c := range r.Columns {
		s.cols = append(s.cols, column{id: i, name: c.Name, t: c.Type})
		if c.Role == catalog.Headers || c.Role == catalog.Header {
			if len(st.Columns) == 0 {
				return nil, 0, fail(st.Into, "SQ3013", "%s has HEADER columns: INSERT VALUES cannot write them",
					quote(r.Name))
			}
			continue
		}
		if len(st.Columns) == 0 {
			at = append(at, i)
		}
	}
	seen := map[int]bool{}
	for i, n := range st.Columns {
		if b.fold(n) == flow.RowTime {
			timeAt = i
			at = append(at, -1)
			continue
		}
		c, err := s.find(b, &lang.Ident{At: n.At, Name: n})
		if err != nil {
			return nil, 0, err
		}
		if seen[c.Index] {
			return nil, 0, fail(n, "SQ2015", "column %s occurs twice", quote(c.Name))
		}
		seen[c.Index] = true
		at = append(at, c.Index)
	}
	return at, timeAt, nil
}

// The limits for evaluating a value of INSERT VALUES, which happens during planning.
const (
	insertBytes = 64 << 20
	insertSteps = 256 << 20
)

func (b *binder) insertRow(r *catalog.Relation, values *lang.Row, at []int, timeAt int) (Row, error) {
	if len(values.Values) != len(at) {
		return Row{}, fail(values, "SQ2020", "%d values for %d columns", len(values.Values), len(at))
	}
	row := Row{Columns: make([]arrow.Array, len(r.Columns))}
	one := flow.NewBatch(flow.NewSchema(nil), nil, 1, nil)
	for i, v := range values.Values {
		x, err := b.expr(v, &scope{exact: b.exact()})
		if err != nil {
			return Row{}, err
		}
		t := flow.Bigint
		if i != timeAt {
			t = r.Columns[at[i]].Type
		}
		if !flow.Widens(x.Type(), t) {
			if _, err := expr.NewCast(x, t); err != nil || !implicit(x.Type(), t) {
				return Row{}, fail(v, "SQ2006", "a value of type %s does not fit column %s", flow.TypeName(x.Type()),
					flow.TypeName(t))
			}
		}
		var failed error
		account := flow.NewBudget(b.Context, insertBytes, insertSteps).Share(b.Memory)
		col := expr.Eval(expr.Convert(x, t), one, udf.Env{Account: account,
			Fail: func(_ int, err error) { failed = err }})
		account.Close()
		if err := b.ended(); err != nil {
			return Row{}, err
		}
		if err := account.Err(); err != nil {
			e := fail(v, "SQ7004", "the evaluation of the value exceeds its limits: %v", err)
			e.Err = err
			return Row{}, e
		}
		if failed != nil {
			return Row{}, fail(v, "SQ2010", "%v", failed)
		}
		if i == timeAt {
			ms, ok := flow.Value(col, 0).(int64)
			if !ok {
				return Row{}, fail(v, "SQ2006", "ROWTIME must be a BIGINT, in milliseconds")
			}
			row.Time = &ms
			continue
		}
		row.Columns[at[i]] = col
	}
	for i, c := range r.Columns {
		if row.Columns[i] == nil {
			row.Columns[i] = flow.Column(c.Type, nil)
		}
		if r.Table && c.Role == catalog.Key && row.Columns[i].IsNull(0) {
			return Row{}, fail(values, "SQ2020", "the primary key %s needs a value", quote(c.Name))
		}
	}
	return row, nil
}

// implicit reports whether INSERT makes a conversion that is not a widening: text to times and
// bytes, numbers to DECIMAL and DOUBLE.
func implicit(from, to flow.Type) bool {
	switch to.ID() {
	case arrow.DATE32, arrow.TIME32, arrow.TIMESTAMP:
		return from.ID() == arrow.STRING
	case arrow.DECIMAL128:
		return flow.IsNumber(from)
	case arrow.LIST, arrow.MAP, arrow.STRUCT:
		return from.ID() == to.ID()
	}
	return false
}
