package state

import "github.com/streamql/streamql/internal/mutant"

// applyApart writes the position of a commit before its changes: a bug of internal/mutant. It does not run in a normal build.
func (s *store) applyApart() {
	if !s.pending || s.db == nil {
		return
	}
	all := s.sealed
	s.sealed = all[len(all)-2:]
	_ = s.apply()
	s.sealed = all
	mutant.Pause()
}
