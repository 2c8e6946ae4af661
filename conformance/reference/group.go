package reference

import (
	"sort"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/flow"
)

// groups is an aggregate without session windows. It has a group for each key and window with a row.
type groups struct {
	*op.Aggregate
	next  step
	accs  func() []acc
	known map[string]*group
}

type group struct {
	key   []any
	start int64 // of the window
	time  int64 // of the newest row
	accs  []acc
}

func newGroups(n *op.Aggregate, next step) (*groups, error) {
	accs, err := accumulators(n.Calls)
	return &groups{Aggregate: n, next: next, accs: accs, known: map[string]*group{}}, err
}

// starts lists the starts of the windows that contain an event time, the oldest first; [0] if there are no
// windows.
func (g *groups) starts(t int64) []int64 {
	w := g.Window
	if w == nil {
		return []int64{0}
	}
	var out []int64
	latest := t - t%w.Advance
	if latest > t { // before 1970
		latest -= w.Advance
	}
	for s := latest; s+w.Size > t && (s >= 0 || !w.From1970); s -= w.Advance {
		out = append([]int64{s}, out...)
	}
	return out
}

func hasNull(vals []any) bool {
	for _, v := range vals {
		if v == nil {
			return true
		}
	}
	return false
}

// oneZero replaces -0 in a key by 0, because both are one group.
func oneZero(key []any) []any {
	for i, v := range key {
		switch v := v.(type) {
		case float32:
			key[i] = v + 0
		case float64:
			key[i] = v + 0
		}
	}
	return key
}

func (g *groups) take(rows []row) error {
	in := g.Input.Schema()
	var out []row
	redone := "" // the group from which the previous row was retracted and into which the next row is inserted
	for i, r := range rows {
		key := oneZero(pick(r.vals, g.Keys))
		if hasNull(key) {
			continue
		}
		t := r.vals[in.Time].(int64)
		for _, start := range g.starts(t) {
			if g.Window != nil && start+g.Window.Size+g.Window.Grace <= r.vals[in.Clock].(int64) {
				continue // late
			}
			id := identity(append([]any{start}, key...))
			at, old := g.known[id]
			if !old {
				at = &group{key: key, start: start, time: t, accs: g.accs()}
				g.known[id] = at
			}
			before := row{g.result(at, r), flow.Before}
			at.time = max(at.time, t)
			for k, c := range g.Calls {
				at.accs[k].add(pick(r.vals, c.Args), r.op.Gone())
			}
			if g.Emit != op.EmitChanges {
				continue
			}
			if old && g.Retract && redone != id {
				out = append(out, before)
			}
			redone = ""
			if r.op == flow.Before && i+1 < len(rows) {
				if after := oneZero(pick(rows[i+1].vals, g.Keys)); !hasNull(after) &&
					identity(append([]any{start}, after...)) == id {
					redone = id
					continue
				}
			}
			out = append(out, row{g.result(at, r), flow.Insert})
		}
	}
	for i := range out { // both rows of an update have one timestamp
		if i+1 < len(out) && out[i].op == flow.Before {
			out[i].vals[g.Out.Time] = out[i+1].vals[g.Out.Time]
		}
	}
	return give(g.next, out)
}

// result returns a group's output row. Its timestamp is that of the row that caused the change.
func (g *groups) result(at *group, cause row) []any {
	vals := append([]any(nil), at.key...)
	if g.Window != nil {
		vals = append(vals, at.start, at.start+g.Window.Size)
	}
	for _, a := range at.accs {
		vals = append(vals, a.value())
	}
	vals = append(vals, at.time)
	if g.Out.Clock >= 0 {
		clock := any(at.time)
		if c := g.Input.Schema().Clock; c >= 0 && cause.vals != nil {
			clock = cause.vals[c]
		}
		vals = append(vals, clock)
	}
	return vals
}

// close closes the windows that stream time has passed. Groups that have not been emitted are emitted, and
// all are deleted.
func (g *groups) close(now int64) error {
	if g.Window == nil {
		return nil
	}
	return g.end(func(at *group) bool { return at.start+g.Window.Size+g.Window.Grace <= now })
}

// closeAll closes all groups at the end of the input.
func (g *groups) closeAll() error {
	if g.Emit == op.EmitChanges {
		return nil
	}
	return g.end(func(*group) bool { return true })
}

func (g *groups) end(ends func(*group) bool) error {
	var list []*group
	for id, at := range g.known {
		if ends(at) {
			list = append(list, at)
			delete(g.known, id)
		}
	}
	if g.Emit == op.EmitChanges {
		return nil
	}
	sort.Slice(list, func(i, j int) bool { return list[i].before(list[j]) })
	var out []row
	for _, at := range list {
		out = append(out, row{g.result(at, row{}), flow.Insert})
	}
	return give(g.next, out)
}

// before orders groups by window, then by key.
func (g *group) before(other *group) bool {
	if g.start != other.start {
		return g.start < other.start
	}
	for i := range g.key {
		if c := order(g.key[i], other.key[i]); c != 0 {
			return c < 0
		}
	}
	return false
}

// sessions is an aggregate over WINDOW SESSION.
type sessions struct {
	*op.Aggregate
	next step
	accs func() []acc
	open map[string][]*session // by key, in the order of their starts
}

type session struct {
	start, end int64
	accs       []acc
}

func newSessions(n *op.Aggregate, next step) (step, error) {
	accs, err := accumulators(n.Calls)
	s := &sessions{n, next, accs, map[string][]*session{}}
	if n.Emit != op.EmitChanges {
		err = uncovered("sessions emitted at their end")
	}
	return s.take, err
}

func (s *sessions) take(rows []row) error {
	in := s.Input.Schema()
	var out []row
	for _, r := range rows {
		key := oneZero(pick(r.vals, s.Keys))
		if hasNull(key) {
			continue
		}
		t, id := r.vals[in.Time].(int64), identity(key)
		merged := &session{start: t, end: t, accs: s.accs()}
		var met, rest []*session
		now := r.vals[in.Clock].(int64)
		for _, old := range s.open[id] {
			if old.end+s.Window.Gap+s.Window.Grace < now {
				continue // closed
			}
			if old.start > t+s.Window.Gap || old.end < t-s.Window.Gap {
				rest = append(rest, old)
				continue
			}
			met = append(met, old)
			merged.start, merged.end = min(merged.start, old.start), max(merged.end, old.end)
		}
		if merged.end+s.Window.Gap+s.Window.Grace < now {
			continue // late
		}
		for _, old := range met {
			out = append(out, row{s.result(key, old, r), flow.Retract})
			for k := range merged.accs {
				merged.accs[k].merge(old.accs[k])
			}
		}
		for k, c := range s.Calls {
			merged.accs[k].add(pick(r.vals, c.Args), r.op.Gone())
		}
		rest = append(rest, merged)
		sort.Slice(rest, func(i, j int) bool { return rest[i].start < rest[j].start })
		s.open[id] = rest
		out = append(out, row{s.result(key, merged, r), flow.Insert})
	}
	return give(s.next, out)
}

func (s *sessions) result(key []any, at *session, cause row) []any {
	vals := append(append([]any(nil), key...), at.start, at.end)
	for _, a := range at.accs {
		vals = append(vals, a.value())
	}
	vals = append(vals, at.end)
	if s.Out.Clock >= 0 {
		vals = append(vals, cause.vals[s.Input.Schema().Clock])
	}
	return vals
}
