//go:build mutants

package mutant

import (
	"context"

	"github.com/streamql/streamql/topic"
)

// source is an input of a job.
type source struct {
	topic.Source
	p *planted
}

// Open implements topic.Source.
func (s source) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	inner, err := s.Source.Open(ctx, spans)
	if err != nil {
		return nil, err
	}
	r := &reader{inner, s.p.bug, map[topic.Partition]topic.Offset{}}
	for _, span := range spans {
		r.at[span.Partition] = span.From
	}
	return r, nil
}

// reader hides its offsets: every fetch seems to begin where the last one ended.
type reader struct {
	topic.Reader
	bug string
	at  map[topic.Partition]topic.Offset
}

// Poll implements topic.Reader.
func (r *reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	fetches, err := r.Reader.Poll(ctx)
	for i := range fetches {
		f := &fetches[i]
		if at := r.at[f.Partition]; r.bug != NullsSkipped && (f.From > at || r.bug != SkipForRecover) {
			f.From = at
		}
		if r.at[f.Partition] = f.Next; r.bug == NullsSkipped {
			*f = values(f)
		}
	}
	return fetches, err
}

// values returns a fetch without the records that have no value.
func values(f *topic.Fetch) topic.Fetch {
	out := topic.Fetch{Partition: f.Partition, From: f.From, Next: f.Next}
	for i := range f.Rows() {
		if v := f.Value.At(i); v != nil {
			out.Offsets, out.Times = append(out.Offsets, f.Offsets[i]), append(out.Times, f.Times[i])
			out.Key.Append(f.Key.At(i))
			out.Value.Append(v)
		}
	}
	return out
}
