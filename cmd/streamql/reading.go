package main

import (
	"fmt"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// reading reads typed values from the configuration. It stores the first error; the values read after it are
// undefined.
type reading struct {
	config config
	err    error
}

// fail stores an error with the position of a key.
func (r *reading) fail(key, hint, text string, args ...any) {
	if r.err == nil {
		r.err = &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: r.config[key].pos,
			Msg: fmt.Sprintf(text, args...), Hint: hint}
	}
}

// value returns a value of a type, or the type's zero value if the key does not exist.
func value[T any](r *reading, key, wanted string) (out T) {
	s, ok := r.config[key]
	if !ok {
		return out
	}
	out, ok = s.value.(T)
	if !ok {
		r.fail(key, "", "%s must be %s", key, wanted)
	}
	return out
}

func (r *reading) text(key string) string { return value[string](r, key, "a text in quotes") }

func (r *reading) truth(key string) bool { return value[bool](r, key, "true or false") }

// number returns an integer; 0 if the key does not exist.
func (r *reading) number(key string, from, to int64) int64 {
	n := value[int64](r, key, "a whole number")
	if _, ok := r.config[key]; ok && (n < from || n > to || n == 0) {
		r.fail(key, "", "%s must be a whole number from %d to %d, and not 0", key, from, to)
	}
	return n
}

// duration returns a duration, e.g. "10s"; 0 if the key does not exist.
func (r *reading) duration(key string, from, to time.Duration) time.Duration {
	text := r.text(key)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < from || d > to {
		r.fail(key, "", "%s must be a duration from \"%v\" to \"%v\"", key, from, to)
	}
	return d
}

// path returns a file path, which is relative to the directory of the configuration file.
func (r *reading) path(key string) string {
	path := r.text(key)
	if path == "" {
		return ""
	}
	return beside(r.config[key].pos.File, path)
}

// paths returns a list of file paths, which are relative to the directory of the configuration file.
func (r *reading) paths(key string) (out []string) {
	for _, v := range value[[]any](r, key, "a list of paths") {
		path, ok := v.(string)
		if !ok || path == "" {
			r.fail(key, `write ["DIR", "DIR"]`, "%s must be a list of paths", key)
			return nil
		}
		out = append(out, beside(r.config[key].pos.File, path))
	}
	return out
}

// reference returns the reference to a secret; the zero value if the key does not exist.
func (r *reading) reference(key string) reference {
	s := r.config[key]
	at, _ := s.value.(string)
	return reference{key: key, at: at, pos: s.pos}
}
