package topic

import (
	"context"
	"errors"
	"io"
)

// Each reads bounded spans to their end and calls visit for every row: row i of f. It returns
// the first error, and an error at the first part that the reader skipped (Fetch.Bad).
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
