package engine

import (
	"context"

	"github.com/streamql/streamql/inspect"
	"github.com/streamql/streamql/lang"
)

// SHOW.
var _ = declare(statement[*lang.Show]{
	role: Reader,
	answer: func(ctx context.Context, s *Session, st *lang.Show, _ []any) (*Result, error) {
		e := s.engine
		if st.What == "MODELS" {
			e.fresh(ctx, modelNames(e.Catalog())...)
		}
		return batchOf(inspect.Show(ctx, e, s.shown(), st))
	},
})

// SHOW CREATE and SHOW MODEL VERSIONS.
var _ = declare(statement[*lang.ShowObject]{
	role: Reader,
	answer: func(ctx context.Context, s *Session, st *lang.ShowObject, _ []any) (*Result, error) {
		s.engine.fresh(ctx, s.settings.Load().Fold(st.Name.Name))
		return batchOf(inspect.Object(s.engine, s.shown(), st))
	},
})

// DESCRIBE.
var _ = declare(statement[*lang.Describe]{
	role: Reader,
	answer: func(ctx context.Context, s *Session, st *lang.Describe, _ []any) (*Result, error) {
		e := s.engine
		e.fresh(ctx, s.settings.Load().Fold(st.Name.Name))
		return batchOf(inspect.Describe(e, s.shown(), st))
	},
})

// shown returns the part of the session's settings that SHOW and DESCRIBE read.
func (s *Session) shown() inspect.Session {
	set := s.settings.Load()
	return inspect.Session{Exact: set.Exact(), Properties: set.Properties, Variables: set.Variables}
}
