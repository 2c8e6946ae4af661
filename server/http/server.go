package http

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"sync"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// Options configure the address and the access of a server.
type Options struct {
	Address     string           // host:port; port 0 takes a free one
	Certificate *tls.Certificate // nil: no TLS
	// of an admin; the zero value: no token is required, and all clients are admins
	Token       Token
	Writer      Token         // of a writer, in addition to Token; the zero value: there are no writers
	Reader      Token         // of a reader, in addition to Token; the zero value: there are no readers
	Connections int           // maximum number of open connections; 0: 1,024. Further ones wait
	Arrival     time.Duration // time limit for the arrival of a request; 0: 15 s
}

// The defaults of Options.
const (
	connections = 1024
	arrival     = 15 * time.Second
	headArrival = 5 * time.Second
)

// Server serves HTTP at one address.
type Server struct {
	listener net.Listener
	server   *nethttp.Server
	tls      bool
	stop     context.CancelFunc
	ended    chan error
	once     sync.Once
	end      error
}

// farewell is how long a stopping server waits for responses in progress.
const farewell = 5 * time.Second

// Listen starts serving; Close ends it. The handler belongs to the server from now on. Error:
// SQ7101 for an address other than loopback without both a certificate and a token, SQ5003 for
// an address that cannot be used.
func Listen(o Options, h *Handler) (*Server, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, &streamql.Error{Code: "SQ7101", Stage: lang.StagePlan,
			Msg: fmt.Sprintf("%q is not an address to listen at", o.Address), Hint: "write HOST:PORT, e.g. 127.0.0.1:8088"}
	}
	open := o.Certificate == nil || o.Token == (Token{})
	if open && !loopback(host) {
		return nil, exposed(o.Address)
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, &streamql.Error{Code: "SQ5003", Stage: lang.StageRun, Msg: fmt.Sprintf("cannot listen at %s: %v",
			o.Address, cut(err)), Err: err}
	}
	if at, ok := l.Addr().(*net.TCPAddr); open && (!ok || !at.IP.IsLoopback()) {
		// localhost may resolve to any address
		return nil, errors.Join(exposed(o.Address), l.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	h.guard, h.live = newGuard(o), ctx
	within := cmp.Or(o.Arrival, arrival)
	l = limit(l, cmp.Or(o.Connections, connections))
	s := &Server{listener: l, stop: stop, tls: o.Certificate != nil, ended: make(chan error, 1)}
	s.server = &nethttp.Server{Handler: h, ReadHeaderTimeout: min(headArrival, within), ReadTimeout: within,
		WriteTimeout: patience, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	if s.tls {
		s.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*o.Certificate}}
	}
	go func() {
		if s.tls {
			s.ended <- s.server.ServeTLS(l, "", "")
			return
		}
		s.ended <- s.server.Serve(l)
	}()
	return s, nil
}

func exposed(address string) error {
	return &streamql.Error{Code: "SQ7101", Stage: lang.StagePlan,
		Msg:  fmt.Sprintf("address %s can be reached from other machines, which needs TLS and a token", address),
		Hint: "listen at 127.0.0.1, or configure a certificate, its key and a token"}
}

// cut returns a network error without the names of system calls.
func cut(err error) error {
	var o *net.OpError
	if errors.As(err, &o) {
		return o.Err
	}
	return err
}

// URL returns the URL of the server.
func (s *Server) URL() string {
	if s.tls {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// Close ends push queries at once, waits up to 5 seconds for other responses, and then aborts
// them. It may be called again.
func (s *Server) Close() error {
	s.once.Do(func() { s.end = s.close() })
	return s.end
}

func (s *Server) close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = s.server.Close()
	}
	if end := <-s.ended; !errors.Is(end, nethttp.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
