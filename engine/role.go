package engine

import (
	"fmt"
	"slices"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/lang"
)

// Role is the set of statements that a session may run. The zero value allows none.
type Role int

// The roles. Each includes the roles before it. Reader allows queries, SHOW, DESCRIBE, EXPLAIN, PRINT and the
// settings of the own session. Writer also allows INSERT, definitions, training, PAUSE, RESUME and RESTART. Admin also
// allows statements that can destroy the work of others (DROP, OR REPLACE, TERMINATE, RESUME from another position)
// and definitions over files.
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

// allow returns an error with code SQ7104 if the role of the session is lower than role. The message begins with what.
func (s *Session) allow(role Role, what string) error {
	if s.role >= role {
		return nil
	}
	return &lang.Error{Code: "SQ7104", Stage: lang.StagePlan,
		Msg:  fmt.Sprintf("%s needs the role %s, but this session has the role %s", what, role, s.role),
		Hint: "use the token of that role"}
}

// SessionOption changes a new session.
type SessionOption func(*Session)

// WithRole sets the role of a session. The default is Admin.
func WithRole(r Role) SessionOption { return func(s *Session) { s.role = r } }

// WithRoots sets the directories under which a session may read files; with none it may read no file. The default is
// Config.Files.
func WithRoots(roots ...string) SessionOption {
	return func(s *Session) { s.roots = slices.Clone(roots) }
}

// files returns the directories under which the session may define the relation. It returns nil for a connector that
// reads no files, and an error if the role does not allow the definition.
func (s *Session) files(r *catalog.Relation) ([]string, error) {
	c, err := s.engine.sources.Connector(r)
	if err != nil || c.Admit == nil {
		return nil, err
	}
	return s.roots, s.allow(Admin, "a definition over "+c.Name)
}
