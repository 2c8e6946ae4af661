package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// facts implements decide.Facts. It reads the broker and the connectors with the
// context of the statement.
type facts struct {
	e       *Engine
	ctx     context.Context
	catalog *catalog.Catalog
	session *Session // of the statement; nil: a job starts, which defines nothing
}

var _ decide.Facts = (*facts)(nil)

// Partitions implements decide.Facts. If the topic is pending deletion, Partitions deletes it first, so that the new
// topic can have its name.
func (f *facts) Partitions(name string) (int32, bool, error) {
	if slices.Contains(f.catalog.Deletions(), name) {
		return 0, false, f.e.remove(f.ctx, name)
	}
	d, err := f.e.broker.Describe(f.ctx, name)
	if errors.Is(err, topic.ErrUnknownTopic) {
		return 0, false, nil
	}
	return int32(len(d.Partitions)), err == nil, err
}

// Columns implements decide.Facts.
func (f *facts) Columns(r *catalog.Relation) ([]catalog.Column, error) {
	roots, err := f.session.files(r)
	if err != nil {
		return nil, err
	}
	return f.e.sources.Columns(f.ctx, r, roots)
}

// Complete implements decide.Facts.
func (f *facts) Complete(r *catalog.Relation) error {
	roots, err := f.session.files(r)
	if err != nil {
		return err
	}
	return f.e.sources.Complete(f.ctx, r, roots)
}

// Spans implements decide.Facts: it returns the spans that a scan reads, in partition order.
func (f *facts) Spans(l planner.Leaf) ([]topic.Span, error) {
	src := topic.Source(f.e.broker)
	if l.Relation != nil {
		var err error
		if src, err = f.e.sources.Open(f.ctx, l.Relation); err != nil {
			return nil, err
		}
	}
	d, err := f.describe(src, l)
	if err != nil {
		return nil, err
	}
	var out []topic.Span
	for _, p := range d.Partitions {
		if !selected(l.Scan.Partitions, p.ID) {
			continue
		}
		s, err := f.span(src, l, p)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, &lang.Error{Code: "SQ2021", Stage: lang.StagePlan, Pos: l.Scan.Position(),
			Msg: fmt.Sprintf("%s has %d partitions, but the scan selects none of them", l.Topic, len(d.Partitions))}
	}
	return out, nil
}

// describe describes the topic of a scan. It creates the topic if the catalog has to and the topic does not exist yet.
func (f *facts) describe(src topic.Source, l planner.Leaf) (topic.Topic, error) {
	if begins, ok := src.(topic.Begins); ok && !needsEnd(l) {
		return begins.Begins(l.Topic), nil
	}
	d, err := src.Describe(f.ctx, l.Topic)
	if errors.Is(err, topic.ErrUnknownTopic) && l.Relation != nil && l.Relation.Make != nil {
		if err := f.e.ensure(f.ctx, *l.Relation.Make); err != nil {
			return d, err
		}
		return src.Describe(f.ctx, l.Topic)
	}
	return d, err
}

// needsEnd reports whether the span of a scan depends on the present end of the topic.
func needsEnd(l planner.Leaf) bool {
	since := l.Scan.Since
	begins := since == nil && l.Earliest || since != nil && (since.Kind == "EARLIEST" || since.Kind == "OFFSET")
	return l.Bounded || l.Scan.Until != nil || !begins
}

// span returns the span of one partition that a scan reads. p is the span that the partition holds now.
func (f *facts) span(src topic.Source, l planner.Leaf, p topic.Span) (topic.Span, error) {
	s := topic.Span{Partition: p.Partition, From: p.To, To: topic.End}
	if l.Earliest {
		s.From = p.From
	}
	if l.Bounded {
		s.To = p.To
	}
	var err error
	if l.Scan.Since != nil {
		if s.From, err = f.point(src, p, l.Scan.Since); err != nil {
			return s, err
		}
	}
	if l.Scan.Until != nil {
		if s.To, err = f.point(src, p, l.Scan.Until); err != nil {
			return s, err
		}
	}
	if (l.Bounded || f.e.c.Policy == supervise.Hand) && s.To != topic.End {
		s.To = min(s.To, p.To) // a bounded query does not wait for new records
	}
	if s.From < p.From {
		if l.Scan.OnGap != "SKIP" {
			return s, topic.ErrGap{Span: topic.Span{Partition: p.Partition, From: s.From, To: p.From}}
		}
		s.From = p.From
	}
	if err := f.narrow(src, l, p, &s); err != nil {
		return s, err
	}
	s.To = max(s.To, s.From)
	return s, nil
}

// narrow applies the bounds of a scan to a span. If the source cannot find offsets by time, the lower bound of time is
// not applied.
func (f *facts) narrow(src topic.Source, l planner.Leaf, p topic.Span, s *topic.Span) error {
	b := l.Bounds
	if b.Partition != nil && *b.Partition != p.ID {
		s.To = s.From
		return nil
	}
	if b.From != nil {
		s.From = max(s.From, *b.From)
	}
	if b.To != nil {
		s.To = min(s.To, *b.To)
	}
	if timed, ok := src.(topic.Timed); ok && b.Since != nil {
		from, err := timed.OffsetAt(f.ctx, p.Partition, *b.Since)
		if err != nil {
			return err
		}
		s.From = max(s.From, from)
	}
	return nil
}

// selected reports whether a list of ranges contains a partition. An empty list contains all.
func selected(list []lang.PartitionRange, id int32) bool {
	for _, r := range list {
		if int(id) >= r.From && int(id) <= r.To {
			return true
		}
	}
	return len(list) == 0
}

// point returns the offset in a partition that a point of the scan clause denotes.
func (f *facts) point(src topic.Source, p topic.Span, at *lang.Point) (topic.Offset, error) {
	switch at.Kind {
	case "EARLIEST":
		return p.From, nil
	case "LATEST", "NOW":
		return p.To, nil
	case "OFFSET":
		return topic.Offset(at.N), nil
	}
	ms, err := f.moment(at)
	if err != nil {
		return 0, err
	}
	timed, ok := src.(topic.Timed)
	if !ok {
		return 0, &lang.Error{Code: "SQ5007", Stage: lang.StagePlan, Pos: at.Position(), Len: 1,
			Msg: fmt.Sprintf("topic %s cannot find offsets by timestamp; use EARLIEST, LATEST or OFFSET", p.Topic)}
	}
	return timed.OffsetAt(f.ctx, p.Partition, ms)
}

// moment returns the time in ms since 1970 that a point denotes.
func (f *facts) moment(at *lang.Point) (int64, error) {
	switch v := at.Value.(type) {
	case *lang.Interval:
		back, err := planner.Millis(v)
		return f.e.c.Now().UnixMilli() - back, err
	case *lang.Text:
		ms, err := option.ParseTime(v.Value)
		if err != nil {
			return 0, &lang.Error{Code: "SQ2010", Stage: lang.StagePlan, Pos: v.Position(), Len: len(v.Value) + 2,
				Msg: err.Error()}
		}
		return ms, nil
	case *lang.Number:
		return strconv.ParseInt(v.Text, 10, 64)
	}
	return 0, &lang.Error{Code: "SQ3001", Stage: lang.StagePlan, Pos: at.Position(), Len: 1,
		Msg: "this point in time is not supported yet"}
}
