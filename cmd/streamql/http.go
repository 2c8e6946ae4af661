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

// listen answers HTTP at the address of --http beside an engine, if there is one, and says where. done closes the engine; the returned
// function ends the server first.
func (w *world) listen(e *streamql.Engine, done func() error) (func() error, error) {
	if w.HTTP == "" {
		return done, nil
	}
	s, err := w.server(e)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	if !w.Quiet {
		fmt.Fprintf(os.Stderr, "HTTP is answered at %s\n", s.URL())
	}
	return func() error { return errors.Join(s.Close(), done()) }, nil
}

func (w *world) server(e *streamql.Engine) (*http.Server, error) {
	r := reading{config: w.files.config}
	o := http.Options{Address: w.HTTP, Certificate: r.pair("server")}
	if r.err != nil {
		return nil, r.err
	}
	for key, to := range map[string]*http.Token{"server.token": &o.Token, "server.writer_token": &o.Writer, "server.reader_token": &o.Reader} {
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
		r.fail("server.writer_token", "write token, the admin's, too", "server.writer_token goes with server.token")
	case o.Token == none && o.Reader != none:
		r.fail("server.reader_token", "write token, the admin's, too", "server.reader_token goes with server.token")
	case o.Writer != none && (o.Writer == o.Token || o.Writer == o.Reader), o.Reader != none && o.Reader == o.Token:
		r.fail("server.token", "make one for each", "two roles of [server] have the same token")
	}
	roots := r.paths("files.roots") // those of --files are for the one who typed it
	if r.err != nil {
		return nil, r.err
	}
	return http.Listen(o, http.Over(e, roots...))
}

// peers is how other processes of the application are asked: as they are, with TLS and a token where [server] has them.
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
