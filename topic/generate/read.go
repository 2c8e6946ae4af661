package generate

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/streamql/streamql/topic"
)

// maxRows is the maximum number of rows of a fetch.
const maxRows = 4096

// Describe returns the single partition: with Rate the rows that are due now, else all rows. An
// endless generator without a rate ends at topic.End. Every name is accepted as the topic's.
func (s *Source) Describe(_ context.Context, name string) (topic.Topic, error) {
	span := topic.Span{Partition: topic.Partition{Topic: name}, To: s.end()}
	if s.config.Rate > 0 {
		span.To = min(span.To, s.due(s.opened, 0))
	}
	return topic.Topic{Name: name, ID: s.config.Kind, Partitions: []topic.Span{span}}, nil
}

// end returns the total number of rows.
func (s *Source) end() topic.Offset {
	if s.config.Rows == 0 {
		return topic.End
	}
	return topic.Offset(s.config.Rows)
}

// due returns the first row that is not due yet for a reader that began at a row and a time.
func (s *Source) due(since time.Time, from topic.Offset) topic.Offset {
	rows := s.config.Now().Sub(since).Seconds() * s.config.Rate
	if rows >= float64(math.MaxInt64-from) {
		return topic.End
	}
	return from + topic.Offset(rows)
}

// OffsetAt returns the first row with an event time of ms or later.
func (s *Source) OffsetAt(_ context.Context, _ topic.Partition, ms int64) (topic.Offset, error) {
	if ms <= int64(s.config.Start) {
		return 0, nil
	}
	step := s.config.Step.Milliseconds()
	groups := (ms - int64(s.config.Start) + step - 1) / step
	if groups > math.MaxInt64/s.per {
		return s.end(), nil
	}
	return min(topic.Offset(groups*s.per), s.end()), nil
}

// Open reads the spans. A span that ends at topic.End waits after the last row until its
// context ends.
func (s *Source) Open(_ context.Context, spans []topic.Span) (topic.Reader, error) {
	r := &reader{source: s, since: s.config.Now()}
	for _, span := range spans {
		if span.ID != 0 {
			return nil, fmt.Errorf("%w: %s; a generator has one partition", topic.ErrUnknownTopic, span.Partition)
		}
		if end := s.end(); span.From > end || span.To != topic.End && span.To > end {
			return nil, fmt.Errorf("the generator has %d rows: %w", end, topic.ErrGap{Span: span})
		}
		r.spans = append(r.spans, span)
		r.began = append(r.began, span.From)
	}
	return r, nil
}

type reader struct {
	source *Source
	spans  []topic.Span // the remaining parts
	began  []topic.Offset
	since  time.Time
}

// Poll implements topic.Reader.
func (r *reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var out []topic.Fetch
		open, paused := false, true
		for i := range r.spans {
			span := &r.spans[i]
			if span.From >= span.To {
				continue
			}
			open = true
			to := min(span.To, r.source.end())
			paused = paused && span.From >= to
			if r.source.config.Rate > 0 {
				to = min(to, r.source.due(r.since, r.began[i]))
			}
			if n := min(to-span.From, maxRows); n > 0 {
				out = append(out, r.source.fetch(*span, int(n)))
				span.From += n
			}
		}
		switch {
		case len(out) > 0:
			return out, nil
		case !open:
			return nil, io.EOF
		case paused: // no row will follow
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if err := r.source.config.Wait(ctx, r.next()); err != nil {
			return nil, err
		}
	}
}

// next returns the time until the next row is due.
func (r *reader) next() time.Duration {
	s, least := r.source, time.Duration(math.MaxInt64)
	for i, span := range r.spans {
		if span.From < min(span.To, s.end()) {
			at := float64(span.From-r.began[i]+1) / s.config.Rate
			least = min(least, time.Duration(at*float64(time.Second))-s.config.Now().Sub(r.since))
		}
	}
	return max(least, time.Microsecond)
}

// Close implements topic.Reader.
func (r *reader) Close() error { return nil }

func (s *Source) fetch(span topic.Span, n int) topic.Fetch {
	f := topic.Fetch{
		Partition: span.Partition,
		From:      span.From,
		Next:      span.From + topic.Offset(n),
		Offsets:   make([]topic.Offset, n),
	}
	for i := range f.Offsets {
		f.Offsets[i] = span.From + topic.Offset(i)
	}
	f.Decoded, f.Times = s.Make(int64(span.From), n)
	return f
}
