package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// expand replaces stars by columns.
func (b *binder) expand(items []*lang.Item, s *scope) ([]*lang.Item, []expr.Expr, error) {
	var out []*lang.Item
	var bound []expr.Expr
	for _, it := range items {
		switch e := it.Expr.(type) {
		case *lang.Star:
			cols, err := b.star(e, s)
			if err != nil {
				return nil, nil, err
			}
			for _, i := range cols {
				out = append(out, &lang.Item{At: it.At,
					Expr: &lang.Ident{At: e.At, Name: lang.Name{At: e.At, Text: s.cols[i].name, Quoted: true}}})
				bound = append(bound, s.cols[i].ref())
			}
			continue
		case *lang.Field:
			if e.Star {
				x, err := b.expr(e.X, s)
				if err != nil {
					return nil, nil, err
				}
				t, ok := x.Type().(*arrow.StructType)
				if !ok {
					return nil, nil, fail(e, "SQ2006", "->* needs a STRUCT, not %s", flow.TypeName(x.Type()))
				}
				for i, f := range t.Fields() {
					out = append(out, &lang.Item{At: it.At,
						Expr: &lang.Ident{At: e.At, Name: lang.Name{At: e.At, Text: f.Name, Quoted: true}}})
					bound = append(bound, &expr.Field{X: x, Index: i, T: f.Type})
				}
				continue
			}
		}
		out = append(out, it)
		bound = append(bound, nil)
	}
	return out, bound, nil
}

// star returns the positions of a star's columns in the scope.
func (b *binder) star(e *lang.Star, s *scope) ([]int, error) {
	var out []int
	source := ""
	if e.Source != nil {
		source = b.fold(*e.Source)
	}
	except := map[int]bool{}
	for _, n := range e.Except {
		c, err := s.find(b, &lang.Ident{At: n.At, Name: n})
		if err != nil {
			return nil, err
		}
		except[c.Index] = true
	}
	found := false
	for i, c := range s.cols {
		if source != "" && !s.same(c.source, source) {
			continue
		}
		found = true
		if c.show == shown && !except[c.id] {
			out = append(out, i)
		}
	}
	if !found {
		return nil, fail(e, "SQ2004", "%q is not a source of this query", source)
	}
	return out, nil
}

// project binds the items of a SELECT. keyed has the expressions of a new key (PARTITION BY); nil:
// the key does not change.
func (b *binder) project(list []*lang.Item, in *rel, keyed []expr.Expr) (*selected, error) {
	items, bound, err := b.expand(list, in.scope)
	if err != nil {
		return nil, err
	}
	if b.explodes(items) {
		if in, err = b.explode(items, in); err != nil {
			return nil, err
		}
	}
	out := &selected{rel: *in, from: in}
	p := &op.Project{Input: in.node}
	var cols []column
	add := func(c column, x expr.Expr) {
		cols, p.Exprs = append(cols, c), append(p.Exprs, x)
	}
	names := in.scope
	if in.names != nil {
		names = in.names
	}
	namer := newNamer(names)
	taken := map[string]bool{}
	for i, it := range items {
		x := bound[i]
		if x == nil {
			if x, err = b.expr(it.Expr, in.scope); err != nil {
				return nil, err
			}
		}
		name := namer.name(b, it, x)
		if taken[name] {
			return nil, fail(it, "SQ2015", "column %s occurs twice in the projection: rename one with AS", quote(name))
		}
		taken[name] = true
		if x, err = b.typed(it, x); err != nil {
			return nil, err
		}
		c := b.column(name, x.Type(), shown, ordinary)
		pos := b.keyPosition(x, in, keyed)
		c.key = pos >= 0
		add(c, x)
		next := item{column: c, pos: pos}
		if x, ok := x.(*expr.Column); ok {
			next.bound = in.scope.bound(x.Index)
		}
		out.items = append(out.items, next)
	}
	if len(cols) == 0 {
		return nil, fail(list[0], "SQ2015", "the projection is empty")
	}
	for _, r := range carried {
		c, ok := in.scope.role(r)
		if !ok || (r == windowStart || r == windowEnd) && in.window == nil {
			continue
		}
		own := c
		if own.source, own.key = "", false; own.show == shown {
			own.show = byName
		}
		if taken[own.name] {
			own.name, own.show = "$"+own.name, internal
		}
		add(own, c.ref())
	}
	for _, c := range b.placed(in.scope) {
		add(c, c.ref())
	}
	for pos, id := range in.key {
		if at := out.itemOf(pos); at >= 0 {
			out.carried = append(out.carried, out.items[at].id)
			continue
		}
		k, _ := in.scope.column(id)
		add(column{id: id, name: "$" + strings.TrimPrefix(k.name, "$"), t: k.t, show: internal}, k.ref())
		out.carried = append(out.carried, id)
	}
	p.Out = schemaOf(cols)
	out.node, out.scope = p, &scope{cols: cols, exact: b.exact()}
	return out, nil
}

// placed returns the columns of a row's place, which the projections of a training pass on.
func (b *binder) placed(s *scope) (out []column) {
	if !b.placing {
		return nil
	}
	for _, r := range []role{rowPartition, rowOffset} {
		if c, ok := s.role(r); ok {
			c.source, c.key, c.name, c.show = "", false, "$"+c.name, internal
			out = append(out, c)
		}
	}
	return out
}

// typed sets the type of an item that is NULL.
func (b *binder) typed(it *lang.Item, x expr.Expr) (expr.Expr, error) {
	if x.Type().ID() != arrow.NULL {
		return x, nil
	}
	if b.Dialect.Has(dialect.NullNeedsType) {
		return nil, fail(it, "SQ2006", "the type of NULL is unknown: CAST it")
	}
	return expr.Typed(x), nil
}

// keyPosition returns the position of an item in the key: that of the same expression in a new key,
// else of the column in the old key. It returns -1 for an item that is not part of the key.
func (b *binder) keyPosition(x expr.Expr, in *rel, keyed []expr.Expr) int {
	if keyed != nil {
		return slices.IndexFunc(keyed, func(k expr.Expr) bool { return expr.Same(x, k) })
	}
	if c, ok := x.(*expr.Column); ok {
		return slices.Index(in.key, c.Index)
	}
	return -1
}

// partitioned binds PARTITION BY: a new key, which must be in the projection.
func (b *binder) partitioned(s *lang.Select, in *rel) (*selected, error) {
	var keyed []expr.Expr
	for _, e := range s.PartitionBy.By {
		if _, null := e.(*lang.NullLit); null {
			if len(s.PartitionBy.By) > 1 {
				return nil, fail(e, "SQ2019", "PARTITION BY NULL cannot be combined with other expressions")
			}
			keyed = []expr.Expr{}
			break
		}
		x, err := b.expr(e, in.scope)
		if err != nil {
			return nil, err
		}
		keyed = append(keyed, x)
	}
	items, err := b.withKeys(s, in, keyed)
	if err != nil {
		return nil, err
	}
	out, err := b.project(items, in, keyed)
	if err != nil {
		return nil, err
	}
	for i, k := range keyed {
		if !out.hasKey(i) {
			return nil, fail(s.PartitionBy.By[i], "SQ2018",
				"the key %s is missing from the projection: add it to SELECT", k)
		}
	}
	out.key = out.keyColumns(len(keyed))
	out.carried = out.key
	return out, nil
}

// withKeys adds the new key to SELECT *. The columns of the new key come first, those of the old
// key after the value's columns.
func (b *binder) withKeys(s *lang.Select, in *rel, keyed []expr.Expr) ([]*lang.Item, error) {
	if len(s.Items) != 1 {
		return s.Items, nil
	}
	star, ok := s.Items[0].Expr.(*lang.Star)
	if !ok || star.Source != nil || len(star.Except) > 0 {
		return s.Items, nil
	}
	var first, values, old []*lang.Item
	named := map[int]bool{}
	for i, k := range keyed {
		item := &lang.Item{At: s.Items[0].At, Expr: s.PartitionBy.By[i]}
		if c, ok := k.(*expr.Column); ok {
			named[c.Index] = true
			if c, _ := in.scope.column(c.Index); c.show != shown {
				item.Alias = &lang.Name{At: item.At, Text: c.name, Quoted: true}
			}
		}
		first = append(first, item)
	}
	for _, c := range in.scope.cols {
		if c.show != shown || named[c.id] {
			continue
		}
		item := &lang.Item{At: s.Items[0].At, Expr: &lang.Ident{At: star.At,
			Name: lang.Name{At: star.At, Text: c.name, Quoted: true}}}
		if c.key {
			old = append(old, item)
		} else {
			values = append(values, item)
		}
	}
	return append(append(first, values...), old...), nil
}

func (s *selected) hasKey(pos int) bool { return s.itemOf(pos) >= 0 }

// itemOf returns the item at a position of the key, or -1.
func (s *selected) itemOf(pos int) int {
	for i, it := range s.items {
		if it.pos == pos {
			return i
		}
	}
	return -1
}

// keyColumns returns the columns of the key's items, in the key's order. Of several copies the
// first is the key.
func (s *selected) keyColumns(n int) []int {
	out := make([]int, 0, n)
	for pos := range n {
		if i := s.itemOf(pos); i >= 0 {
			out = append(out, s.items[i].id)
		}
	}
	return out
}

// namer names items: the alias, the column's or field's own name, else KSQL_COL_n.
type namer struct {
	next   int
	fields map[string]int
	taken  map[string]bool
}

func newNamer(s *scope) *namer {
	n := &namer{fields: map[string]int{}, taken: map[string]bool{}}
	for _, c := range s.cols {
		n.taken[c.name] = true
	}
	return n
}

func (n *namer) name(b *binder, it *lang.Item, x expr.Expr) string {
	if it.Alias != nil {
		return b.fold(*it.Alias)
	}
	switch e := it.Expr.(type) {
	case *lang.Ident:
		if c, ok := x.(*expr.Column); ok {
			return c.Name
		}
		return b.fold(e.Name)
	case *lang.Field:
		name := b.fold(e.Name)
		if f, ok := x.(*expr.Field); ok {
			name = f.X.Type().(*arrow.StructType).Field(f.Index).Name
		}
		n.fields[name]++
		k := n.fields[name]
		if n.taken[name] {
			k++
		}
		if k > 1 {
			return name + "_" + strconv.Itoa(k-1)
		}
		return name
	}
	for {
		name := fmt.Sprintf("KSQL_COL_%d", n.next)
		n.next++
		if !n.taken[name] {
			return name
		}
	}
}
