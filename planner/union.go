package planner

import (
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// union binds SELECT .. UNION ALL SELECT ..: the rows of all branches under the names of the first.
// A column has the widest of the branches' types.
func (b *binder) union(q *lang.Query, m mode, emit op.Emission) (*selected, error) {
	branches := make([]*selected, 1, 1+len(q.Union))
	at := make([]lang.Node, 1, 1+len(q.Union))
	var err error
	if branches[0], err = b.selectOf(q.Select, nil, m, emit); err != nil {
		return nil, err
	}
	at[0] = q.Select
	for _, u := range q.Union {
		if !u.All {
			return nil, unsupported(u, "UNION without ALL")
		}
		next, err := b.selectOf(u.Select, nil, m, emit)
		if err != nil {
			return nil, err
		}
		if have, want := len(next.items), len(branches[0].items); have != want {
			return nil, fail(u.Select, "SQ2020", "this SELECT of a UNION ALL has %d columns, the first has %d", have,
				want)
		}
		branches, at = append(branches, next), append(at, u.Select)
	}
	for i, s := range branches {
		if s.table && m != pull {
			return nil, fail(at[i], "SQ3012",
				"UNION ALL works on streams: this SELECT is a table, whose rows replace one another")
		}
	}
	out, err := b.united(branches, at)
	if err != nil {
		return nil, err
	}
	if out.keyless = commonKey(branches, at); out.keyless == nil {
		out.key = out.keyColumns(len(branches[0].key))
		out.carried = out.key
		return out, nil
	}
	for i := range out.items {
		out.items[i].pos = -1
	}
	return out, nil
}

// commonKey checks that each part of the key is the same item in every branch. Otherwise the union
// has no key: an enclosing query may set one, but a topic cannot be written from it.
func commonKey(branches []*selected, at []lang.Node) error {
	first := branches[0]
	for j, s := range branches {
		if err := s.keyMissing(at[j]); err != nil {
			return err
		}
		for i, it := range s.items {
			if want := first.items[i]; it.pos != want.pos {
				return fail(at[j], "SQ3012",
					"column %d is %s in this SELECT of a UNION ALL and %s in the first: set the same key with PARTITION BY",
					i+1, keyName(it.pos), keyName(want.pos))
			}
		}
	}
	return nil
}

func keyName(pos int) string {
	if pos < 0 {
		return "not part of the key"
	}
	return fmt.Sprintf("part %d of the key", pos+1)
}

// united projects the branches to common columns and adds a node over them.
func (b *binder) united(branches []*selected, at []lang.Node) (*selected, error) {
	first := branches[0]
	out := &selected{rel: rel{source: first.source}}
	var cols []column
	lists := make([][]expr.Expr, len(branches)) // by branch: the expression of each column
	for i, it := range first.items {
		t := it.t
		for j, s := range branches[1:] {
			have := s.items[i].t
			wider, ok := flow.Common(t, have)
			if !ok {
				return nil,
					fail(at[j+1], "SQ2006",
						"column %s is %s in this SELECT of a UNION ALL and %s before: CAST one of them", quote(it.name),
						flow.TypeName(have), flow.TypeName(t))
			}
			t = wider
		}
		c := b.column(it.name, t, shown, ordinary)
		c.key = it.pos >= 0
		cols = append(cols, c)
		out.items = append(out.items, item{column: c, pos: it.pos})
		for j, s := range branches {
			lists[j] = append(lists[j], expr.Convert(s.items[i].ref(), t))
		}
	}
	for _, r := range carried {
		own := make([]expr.Expr, len(branches))
		var like column
		all := true
		for j, s := range branches {
			c, ok := s.scope.role(r)
			all = all && ok
			own[j], like = c.ref(), c
		}
		if !all || r == windowStart || r == windowEnd {
			continue
		}
		cols = append(cols, b.column(like.name, like.t, like.show, r))
		for j := range branches {
			lists[j] = append(lists[j], own[j])
		}
	}
	u := &op.Union{Out: schemaOf(cols)}
	for j, s := range branches {
		p := b.branch(s.node, cols, lists[j])
		u.Branches, u.Columns = append(u.Branches, p), append(u.Columns, p.Out.IDs)
	}
	out.node, out.scope = u, &scope{cols: cols, exact: b.exact()}
	return out, nil
}

// branch projects one input of a union to its columns.
func (b *binder) branch(in exec.Node, cols []column, list []expr.Expr) *op.Project {
	own := make([]column, len(cols))
	for i, c := range cols {
		own[i] = b.column(c.name, c.t, c.show, c.role)
	}
	return &op.Project{Input: in, Exprs: list, Out: schemaOf(own)}
}
