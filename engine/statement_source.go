package engine

import (
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
)

// CREATE STREAM and CREATE TABLE, with or without AS SELECT.
var _ = declare(statement[*lang.CreateSource]{
	takes:  func(st *lang.CreateSource) Role { return replacing(st.OrReplace) },
	decide: (*decide.Decider).Source,
	plan: func(st *lang.CreateSource, o planner.Options) ([]planner.Stage, error) {
		p, err := planner.Fill(st, "EXPLAIN", o)
		if err != nil {
			return nil, err
		}
		return p.Stages, nil
	},
})

// CREATE TYPE.
var _ = declare(statement[*lang.CreateType]{role: Writer, decide: (*decide.Decider).Type})

// DROP STREAM, DROP TABLE and DROP TYPE.
var _ = declare(statement[*lang.Drop]{role: Admin, decide: (*decide.Decider).Drop})

// replacing returns the role that a statement requires: Admin if it may replace or end something, else Writer.
func replacing(yes bool) Role {
	if yes {
		return Admin
	}
	return Writer
}
