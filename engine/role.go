package engine

import (
	"fmt"
	"slices"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/lang"
)

// Role is what a session may do. The zero value may do nothing.
type Role int

// The roles, each of which may do what those before it may. A Reader asks: queries, SHOW, DESCRIBE, EXPLAIN, PRINT, and the settings of its
// own session. A Writer also inserts and defines, trains, pauses, resumes and restarts. An Admin also does what takes something away
// from others: DROP, OR REPLACE, TERMINATE, jobs that begin elsewhere than where they stopped; and defines relations over files.
const (
	Reader Role = 1 + iota
	Writer
	Admin
)

// String returns the name of the role in the configuration.
func (r Role) String() string {
	if r < Reader || r > Admin {
		return "nobody"
	}
	return [...]string{"reader", "writer", "admin"}[r-1]
}

// allow refuses what is not for the session's role.
func (s *Session) allow(role Role, what string) error {
	if s.role >= role {
		return nil
	}
	return &lang.Error{Code: "SQ7104", Stage: lang.StagePlan, Msg: fmt.Sprintf("%s is for the role %s, and this session is a %s's", what, role, s.role),
		Hint: "ask with the token of that role"}
}

// SessionOption changes how a session is begun.
type SessionOption func(*Session)

// WithRole gives a session a role; without it a session is an Admin's.
func WithRole(r Role) SessionOption { return func(s *Session) { s.role = r } }

// WithRoots sets the directories under which a session may read files; none: it may read none. Without it they are the engine's.
func WithRoots(roots ...string) SessionOption {
	return func(s *Session) { s.roots = slices.Clone(roots) }
}

// files are the directories under which the session may define a relation.
func (s *Session) files(r *catalog.Relation) ([]string, error) {
	c, err := s.engine.sources.Connector(r)
	if err != nil || c.Admit == nil {
		return nil, err
	}
	return s.roots, s.allow(Admin, "a definition over "+c.Name)
}
