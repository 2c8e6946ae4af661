package http

import (
	"net"
	"sync"
)

// limited is a listener with a maximum number of open connections: it accepts the next one when
// another is closed.
type limited struct {
	net.Listener
	places chan struct{}
	ended  chan struct{} // closed with the listener
	once   sync.Once
}

func limit(l net.Listener, connections int) *limited {
	return &limited{Listener: l, places: make(chan struct{}, connections), ended: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.ended:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.ended) })
	return l.Listener.Close()
}

// placed is a connection that counts as open until it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close closes the connection and allows another one.
func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
