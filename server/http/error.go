package http

import (
	"errors"
	nethttp "net/http"
	"strings"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// status is an error with an explicit HTTP status, because its code does not determine one.
type status struct {
	code int
	err  error
}

// Error returns the text of the error.
func (s *status) Error() string { return s.err.Error() }

// Unwrap returns the error.
func (s *status) Unwrap() error { return s.err }

// bad returns an error about the request itself.
func bad(text, hint string) error {
	return &streamql.Error{Code: "SQ1105", Stage: lang.StageParse, Msg: text, Hint: hint}
}

// refuse responds with an error.
func refuse(w nethttp.ResponseWriter, err error) {
	_, code := listed(err)
	refuseAs(w, code, err)
}

func refuseAs(w nethttp.ResponseWriter, code int, err error) {
	list, _ := listed(err)
	if list[0].Code == "SQ7206" { // which says so
		w.Header().Set("Retry-After", "1")
	}
	say(w, code, map[string]any{"errors": list})
}

// listed returns an error as the document's list, and its HTTP status.
func listed(err error) (lang.Errors, int) {
	list := lang.AsErrors(err)
	if len(list) == 0 {
		list = lang.Errors{{Code: "SQ4000", Stage: lang.StageRun, Msg: err.Error()}}
	}
	var s *status
	if errors.As(err, &s) {
		return list, s.code
	}
	return list, statusOf(list[0].Code)
}

// statusOf returns the HTTP status of an error code.
func statusOf(code string) int {
	switch code {
	case "SQ5003":
		return nethttp.StatusBadGateway
	case "SQ7002", "SQ7003":
		return nethttp.StatusConflict
	case "SQ7004":
		return nethttp.StatusUnprocessableEntity
	case "SQ7102":
		return nethttp.StatusUnauthorized
	case "SQ7203":
		return nethttp.StatusRequestEntityTooLarge
	}
	for class, status := range map[string]int{"SQ1": 400, "SQ2": 400, "SQ3": 400, "SQ4": 422, "SQ5": 422, "SQ6": 422,
		"SQ71": 403, "SQ72": 429, "SQ8": 502} {
		if strings.HasPrefix(code, class) {
			return status
		}
	}
	return nethttp.StatusInternalServerError
}
