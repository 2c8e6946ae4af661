package main

import (
	"fmt"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// reading takes typed values from configuration. The first that is wrong is its error; after it values are worth nothing.
type reading struct {
	config config
	err    error
}

// fail sets the error, with the place of a key.
func (r *reading) fail(key, hint, text string, args ...any) {
	if r.err == nil {
		r.err = &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: r.config[key].pos, Msg: fmt.Sprintf(text, args...), Hint: hint}
	}
}

// value is a value of a type; the type's zero if the key is not there.
func value[T any](r *reading, key, wanted string) (out T) {
	s, ok := r.config[key]
	if !ok {
		return out
	}
	out, ok = s.value.(T)
	if !ok {
		r.fail(key, "", "%s is %s", key, wanted)
	}
	return out
}

func (r *reading) text(key string) string { return value[string](r, key, "a text in quotes") }

func (r *reading) truth(key string) bool { return value[bool](r, key, "true or false") }

// number is a whole number; 0 if the key is not there.
func (r *reading) number(key string, from, to int64) int64 {
	n := value[int64](r, key, "a whole number")
	if _, ok := r.config[key]; ok && (n < from || n > to || n == 0) {
		r.fail(key, "", "%s is a whole number from %d to %d, and not 0", key, from, to)
	}
	return n
}

// duration is a time like "10s"; 0 if the key is not there.
func (r *reading) duration(key string, from, to time.Duration) time.Duration {
	text := r.text(key)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < from || d > to {
		r.fail(key, "", "%s is a time from \"%v\" to \"%v\"", key, from, to)
	}
	return d
}

// path is a file's path; it counts from the folder of the file that names it.
func (r *reading) path(key string) string {
	path := r.text(key)
	if path == "" {
		return ""
	}
	return beside(r.config[key].pos.File, path)
}

// paths are the paths of a list; each counts from the folder of the file that names it.
func (r *reading) paths(key string) (out []string) {
	for _, v := range value[[]any](r, key, "a list of paths") {
		path, ok := v.(string)
		if !ok || path == "" {
			r.fail(key, `write ["DIR", "DIR"]`, "%s is a list of paths", key)
			return nil
		}
		out = append(out, beside(r.config[key].pos.File, path))
	}
	return out
}

// reference is where a secret is; the zero value if the key is not there.
func (r *reading) reference(key string) reference {
	s := r.config[key]
	at, _ := s.value.(string)
	return reference{key: key, at: at, pos: s.pos}
}
