package engine

import (
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/lang"
)

// TERMINATE, PAUSE, RESUME and RESTART. What ends a job, or lets it begin elsewhere than where it stopped, is for an
// Admin.
var _ = declare(statement[*lang.Control]{
	takes:  func(st *lang.Control) Role { return replacing(st.Verb == "TERMINATE" || st.From != "") },
	decide: (*decide.Decider).Control,
})
