package main

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"os"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/server/http"
)

// listen serves HTTP for an engine if --http is set, and prints the URL. done closes the engine; the returned
// function stops the server first.
func (w *world) listen(e *streamql.Engine, done func() error) (func() error, error) {
	if w.HTTP == "" {
		return done, nil
	}
	s, err := w.server(e)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	if !w.Quiet {
		fmt.Fprintf(os.Stderr, "serving HTTP at %s\n", s.URL())
	}
	return func() error { return errors.Join(s.Close(), done()) }, nil
}

func (w *world) server(e *streamql.Engine) (*http.Server, error) {
	r := reading{config: w.files.config}
	o := http.Options{Address: w.HTTP, Certificate: r.pair("server")}
	if r.err != nil {
		return nil, r.err
	}
	for key, to := range map[string]*http.Token{"server.token": &o.Token, "server.writer_token": &o.Writer,
		"server.reader_token": &o.Reader} {
		token := r.reference(key)
		if token.at == "" {
			continue
		}
		text, err := token.read()
		if err != nil {
			return nil, err
		}
		*to = http.Hash(string(text))
	}
	none := http.Token{}
	switch {
	case o.Token == none && o.Writer != none:
		r.fail("server.writer_token", "set the admin's token, too", "server.writer_token requires server.token")
	case o.Token == none && o.Reader != none:
		r.fail("server.reader_token", "set the admin's token, too", "server.reader_token requires server.token")
	case o.Writer != none && (o.Writer == o.Token || o.Writer == o.Reader), o.Reader != none && o.Reader == o.Token:
		r.fail("server.token", "use a different token for each role", "two roles of [server] have the same token")
	}
	roots := r.paths("files.roots") // without those of --files, which are for the local user
	if r.err != nil {
		return nil, r.err
	}
	return http.Listen(o, http.Over(e, roots...))
}

// peers returns the client for other processes of the application, with TLS and a token if [server] has them.
func (w *world) peers() (*peer.Client, error) {
	r := reading{config: w.files.config}
	c := &peer.Client{TLS: r.path("server.cert_file") != ""}
	if token := r.reference("server.token"); token.at != "" {
		text, err := token.read()
		if err != nil {
			return nil, err
		}
		c.Authorize = func(q *nethttp.Request) { q.Header.Set("Authorization", "Bearer "+string(text)) }
	}
	return c, r.err
}
