package lang

import "strconv"

func (p *printer) query(q *Query) {
	if len(q.With) > 0 {
		p.add("WITH ")
		p.each(len(q.With), func(i int) {
			p.name(q.With[i].Name)
			p.add(" AS (")
			p.query(q.With[i].Query)
			p.add(")")
		})
		p.add(" ")
	}
	p.selection(q.Select)
	for _, u := range q.Union {
		p.add(" UNION ")
		p.when(u.All, "ALL ")
		p.selection(u.Select)
	}
	if len(q.OrderBy) > 0 {
		p.add(" ORDER BY ")
		p.orders(q.OrderBy)
	}
	if q.Tail.Emit != nil {
		p.add(" EMIT ", q.Tail.Emit.Mode)
	}
	if q.Tail.Limit != nil {
		p.add(" LIMIT ")
		p.expr(q.Tail.Limit.N, precLambda)
	}
}

func (p *printer) selection(s *Select) {
	p.add("SELECT ")
	p.when(s.Distinct, "DISTINCT ")
	p.items(s.Items)
	if s.From != nil {
		p.add(" FROM ")
		p.relation(s.From)
		for _, j := range s.Joins {
			p.join(j)
		}
		if s.Using != nil {
			p.add(" USING VERSION ")
			p.version(s.Using.Version)
		}
	}
	p.window(s.Window)
	p.clause(" WHERE ", s.Where)
	p.grouping(" GROUP BY ", s.GroupBy)
	p.grouping(" PARTITION BY ", s.PartitionBy)
	p.clause(" HAVING ", s.Having)
}

func (p *printer) items(items []*Item) {
	p.each(len(items), func(i int) {
		p.expr(items[i].Expr, precLambda)
		p.optional(" AS ", items[i].Alias)
	})
}

// clause prints an expression after its word, if there is one.
func (p *printer) clause(before string, e Expr) {
	if e != nil {
		p.add(before)
		p.expr(e, precLambda)
	}
}

func (p *printer) grouping(before string, g *Grouping) {
	if g != nil {
		p.add(before)
		p.each(len(g.By), func(i int) { p.expr(g.By[i], precCompare) })
	}
}

func (p *printer) relation(r *Relation) {
	switch {
	case r.Query != nil:
		p.add("(")
		p.query(r.Query)
		p.add(")")
	case r.Call != nil:
		p.call(r.Call)
	case r.Source != nil:
		p.optional("", r.Source.Schema)
		p.when(r.Source.Schema != nil, ".")
		p.name(r.Source.Name)
	}
	if r.Alias != nil {
		p.optional(" AS ", &r.Alias.Name)
	}
	p.scan(&r.Scan)
}

func (p *printer) scan(s *Scan) {
	if len(s.Partitions) > 0 {
		p.add(" PARTITIONS (")
		p.each(len(s.Partitions), func(i int) {
			r := s.Partitions[i]
			p.add(strconv.Itoa(r.From))
			p.when(r.To != r.From, ".."+strconv.Itoa(r.To))
		})
		p.add(")")
	}
	p.point(" SINCE ", s.Since)
	p.point(" UNTIL ", s.Until)
	p.when(s.OnGap != "", " ON GAP "+s.OnGap)
}

func (p *printer) point(before string, t *Point) {
	if t == nil {
		return
	}
	p.add(before)
	switch t.Kind {
	case "OFFSET":
		p.add("OFFSET ", strconv.FormatInt(t.N, 10))
	case "TIMESTAMP":
		p.add("TIMESTAMP ")
		p.expr(t.Value, precLambda)
	case "PARAM":
		p.expr(t.Value, precLambda)
	case "AGO":
		p.interval(t.Value.(*Interval))
		p.add(" AGO")
	default:
		p.add(t.Kind)
	}
}

func (p *printer) join(j *Join) {
	p.when(j.Type != InnerJoin, " "+string(j.Type))
	p.add(" JOIN ")
	p.relation(j.Right)
	if w := j.Within; w != nil {
		p.add(" WITHIN ")
		if *w.Before == *w.After || w.Before.N == w.After.N && w.Before.Unit == w.After.Unit {
			p.interval(w.Before)
		} else {
			p.add("(")
			p.interval(w.Before)
			p.add(", ")
			p.interval(w.After)
			p.add(")")
		}
		if w.Grace != nil {
			p.add(" GRACE PERIOD ")
			p.interval(w.Grace)
		}
	}
	p.clause(" ON ", j.On)
}

func (p *printer) window(w *Window) {
	if w == nil {
		return
	}
	p.add(" WINDOW ")
	if w.Name != nil {
		p.name(*w.Name)
		p.add(" ")
	}
	p.add(string(w.Kind), " (")
	p.when(w.Kind != Session, "SIZE ")
	p.interval(w.Size)
	for _, part := range []struct {
		word string
		i    *Interval
	}{{", ADVANCE BY ", w.Advance}, {", RETENTION ", w.Retention}, {", GRACE PERIOD ", w.Grace}} {
		if part.i != nil {
			p.add(part.word)
			p.interval(part.i)
		}
	}
	p.add(")")
}
