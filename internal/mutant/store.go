//go:build mutants

package mutant

import (
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// store is a task's store.
type store struct {
	state.Store
	p         *planted
	task      string
	changelog topic.Partition // set when something was written to it
	sealed    bool            // Pending was called, and neither Commit nor Rollback since
	kept      bool            // Close was suppressed
}

// Pending implements state.Store.
func (s *store) Pending(read map[topic.Partition]topic.Offset) []topic.Record {
	s.sealed = true
	return s.Store.Pending(read)
}

// Logged implements state.Store.
func (s *store) Logged() []topic.Record {
	out := s.Store.Logged()
	s.p.logging = s
	switch {
	case s.p.bug == KeyNotLogged && s.Seq()%8 == 0 && len(out) > 1:
		out = out[1:]
	case s.p.bug == PositionNotLast && len(out) > 1:
		out = append(out[len(out)-1:], out[:len(out)-1]...)
	}
	return out
}

// CommitLog implements state.Store.
func (s *store) CommitLog(at state.Log) error {
	if s.p.bug == PositionApart && s.sealed {
		if err := s.position(at); err != nil {
			return err
		}
		s.p.pause()
	}
	s.sealed = false
	return s.Store.CommitLog(at)
}

// position makes the position of a commit durable, but not its data.
func (s *store) position(at state.Log) error {
	all := s.Store.Logged()
	if len(all) == 0 {
		return nil
	}
	r, err := s.p.env.Log.Replay(s.task)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Put(all[len(all)-1], at)
}

// Close implements state.Store.
func (s *store) Close() error {
	if s.p.bug == MemoryKept && s.p.aborting {
		s.kept = true
		return nil
	}
	return s.Store.Close()
}
