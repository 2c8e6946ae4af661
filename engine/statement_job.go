package engine

import (
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
)

// TERMINATE, PAUSE, RESUME and RESTART. The role Admin is required to end a job, and to start one from a position
// other than its last commit.
var _ = declare(statement[*lang.Control]{
	takes:  func(st *lang.Control) Role { return replacing(st.Verb == "TERMINATE" || st.From != "") },
	decide: (*decide.Decider).Control,
})
