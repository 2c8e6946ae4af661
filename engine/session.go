package engine

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/lang"
)

// Session is one client's view of an engine: what it may do, its dialect, its properties and its variables. It may be used by several
// goroutines.
type Session struct {
	engine   *Engine
	role     Role                           // never changed
	roots    []string                       // under which it may define relations over files; never changed
	settings atomic.Pointer[decide.Session] // never changed in place
	changing sync.Mutex                     // of settings
}

// NewSession begins a session with the engine's settings.
func (e *Engine) NewSession(options ...SessionOption) *Session {
	s := &Session{engine: e, role: Admin, roots: e.c.Files}
	for _, o := range options {
		o(s)
	}
	s.settings.Store(&decide.Session{Dialect: nameOf(e.c.Dialect), Repeats: e.c.Repeats, Properties: map[string]string{}, Variables: map[string]string{}})
	return s
}

// nameOf is a dialect's name in settings and in the catalog: the default has none.
func nameOf(name string) string {
	if name == dialect.StreamQL {
		return ""
	}
	return name
}

// Engine is the engine of the session.
func (s *Session) Engine() *Engine { return s.engine }

// Settings are the session's settings now. They are not to be changed.
func (s *Session) Settings() *decide.Session { return s.settings.Load() }

// change puts changed settings in place of the present ones.
func (s *Session) change(f func(*decide.Session)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	next := *s.settings.Load()
	next.Properties, next.Variables = maps.Clone(next.Properties), maps.Clone(next.Variables)
	f(&next)
	s.settings.Store(&next)
}

// Parse reads a text. The error is a *lang.Error, or lang.Errors with up to 10 of them.
func (s *Session) Parse(text string) ([]lang.Statement, error) {
	return lang.Parse(text, lang.Variables(s.settings.Load().Variables))
}

// Result is what a statement has done: Rows for queries and SHOW, else a sentence for the user.
type Result struct {
	Rows    *Rows
	Message string
	Job     string // the job a definition has started
}
