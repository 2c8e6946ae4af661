package topic

import (
	"context"
	"errors"
	"io"
)

// Each reads bounded spans to their end and hands every row to visit: row i of f. It ends early with the first error, and
// at what the reader passes over (Fetch.Bad).
func Each(ctx context.Context, src Source, spans []Span, visit func(f *Fetch, i int) error) (err error) {
	r, err := src.Open(ctx, spans)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		fetches, err := r.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for k := range fetches {
			if err := fetches[k].Sound(); err != nil {
				return err
			}
			for i := range fetches[k].Rows() {
				if err := visit(&fetches[k], i); err != nil {
					return err
				}
			}
		}
	}
}
