package engine

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/lang"
)

// Session is the context of one client: its role, dialect, properties and variables. Several goroutines may use it.
type Session struct {
	engine   *Engine
	role     Role                           // immutable
	roots    []string                       // the directories of files that it may read; immutable
	settings atomic.Pointer[decide.Session] // replaced, never changed in place
	changing sync.Mutex                     // serializes changes of settings
}

// NewSession starts a session with the settings of the engine. Without WithRole it has the role Admin.
func (e *Engine) NewSession(options ...SessionOption) *Session {
	s := &Session{engine: e, role: Admin, roots: e.c.Files}
	for _, o := range options {
		o(s)
	}
	s.settings.Store(&decide.Session{Dialect: nameOf(e.c.Dialect), Repeats: e.c.Repeats,
		Properties: map[string]string{}, Variables: map[string]string{}})
	return s
}

// nameOf returns the name of a dialect in settings and in the catalog, where the default is the empty string.
func nameOf(name string) string {
	if name == dialect.StreamQL {
		return ""
	}
	return name
}

// Engine returns the engine of the session.
func (s *Session) Engine() *Engine { return s.engine }

// Settings returns the session's present settings. The caller must not change them.
func (s *Session) Settings() *decide.Session { return s.settings.Load() }

// change replaces the settings by a changed copy. f changes the copy.
func (s *Session) change(f func(*decide.Session)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	// A statement in progress keeps the settings that it has loaded. Maps are copied, because it may read them now.
	next := *s.settings.Load()
	next.Properties, next.Variables = maps.Clone(next.Properties), maps.Clone(next.Variables)
	f(&next)
	s.settings.Store(&next)
}

// Parse parses a text and replaces its variables. The error is a *lang.Error, or lang.Errors with up to 10 of them.
func (s *Session) Parse(text string) ([]lang.Statement, error) {
	return lang.Parse(text, lang.Variables(s.settings.Load().Variables))
}

// Result is the result of a statement: Rows for queries and SHOW, else a sentence for the user.
type Result struct {
	Rows    *Rows
	Message string
	Job     string // the name of the job that the definition started; empty: none
}
