//go:build synctests

package storm

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Errors as the operating system returns them, because the client library distinguishes them.
var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
)

// altered changes each request of a process; nil: no change.
var altered func(request []byte) []byte

// cord is the network of one life of a process.
type cord struct {
	w  *world
	mu sync.Mutex
	// gone: no data is transferred any more. deaf: requests arrive, responses are lost.
	gone, deaf bool
	stalled    chan struct{} // closed when the network continues; nil: it is not stalled
	slow       time.Duration // delay of each response
	late       time.Duration // delay of each request, which arrives even if the process has aborted it
	conns      map[*wire]bool
}

func (c *cord) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := c.passes(ctx.Done(), address); err != nil {
		c.mu.Lock()
		dead := c.gone
		c.mu.Unlock()
		// kgo retries AddPartitionsToTxn without a delay. The call must take time, or virtual time would not
		// advance.
		select {
		case <-time.After(map[bool]time.Duration{false: 20 * time.Millisecond, true: 2 * time.Second}[dead]):
		case <-ctx.Done():
		}
		return nil, errRefused
	}
	conn, err := c.w.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.deaf || c.w.away(address) {
		conn.Close()
		return nil, errRefused
	}
	w := &wire{Conn: conn, c: c, at: address, closed: make(chan struct{})}
	c.conns[w] = true
	return w, nil
}

// passes waits while the network is stalled.
func (c *cord) passes(done <-chan struct{}, address string) error {
	c.mu.Lock()
	stalled := c.stalled
	c.mu.Unlock()
	if stalled != nil {
		select {
		case <-stalled:
		case <-done:
			return errReset
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.deaf || c.w.away(address) {
		return errReset
	}
	return nil
}

// cut disconnects the network for good, because the process is dead.
func (c *cord) cut() {
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	c.drop("")
	c.resume()
}

// set changes the network while it holds the lock.
func (c *cord) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cord) stall() {
	c.set(func() {
		if c.stalled == nil {
			c.stalled = make(chan struct{})
		}
	})
}

func (c *cord) resume() {
	c.set(func() {
		if c.stalled != nil {
			close(c.stalled)
			c.stalled = nil
		}
	})
}

// mend ends all faults of the network, unless it is disconnected for good.
func (c *cord) mend() {
	c.set(func() { c.deaf, c.slow, c.late = false, 0, 0 })
	c.resume()
}

// drop closes the connections to an address, or all of them.
func (c *cord) drop(address string) {
	c.mu.Lock()
	var out []*wire
	for w := range c.conns {
		if address == "" || w.at == address {
			out = append(out, w)
		}
	}
	c.mu.Unlock()
	for _, w := range out {
		w.Close()
	}
}

type wire struct {
	net.Conn
	c      *cord
	at     string
	once   sync.Once
	closed chan struct{}
	mu     sync.Mutex
	queue  [][]byte // late requests
	sender bool
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if failed := w.c.passes(w.closed, w.at); failed != nil {
		w.Close()
		return 0, failed
	}
	w.c.mu.Lock()
	slow := w.c.slow
	w.c.mu.Unlock()
	if slow > 0 && err == nil {
		time.Sleep(slow)
	}
	return n, told(err)
}

func (w *wire) Write(b []byte) (int, error) {
	if altered != nil {
		b = altered(b)
	}
	w.c.mu.Lock()
	late, deaf := w.c.late, w.c.deaf
	w.c.mu.Unlock()
	if !deaf {
		if err := w.c.passes(w.closed, w.at); err != nil {
			w.Close()
			return 0, err
		}
	}
	w.mu.Lock()
	if late > 0 || w.sender {
		w.queue = append(w.queue, append([]byte(nil), b...))
		if !w.sender {
			w.sender = true
			go w.send(late)
		}
		w.mu.Unlock()
		return len(b), nil
	}
	w.mu.Unlock()
	n, err := w.Conn.Write(b)
	return n, told(err)
}

// told converts the error of a pipe to one of a socket.
func told(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return errReset
	}
	return err
}

// send delivers late requests. It also delivers those of a connection that the process has closed since, like
// packets in transit.
func (w *wire) send(late time.Duration) {
	for {
		time.Sleep(late)
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		if w.sender = len(queue) > 0; !w.sender {
			w.mu.Unlock()
			break
		}
		w.mu.Unlock()
		for _, b := range queue {
			w.Conn.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := w.Conn.Write(b); err != nil {
				w.Conn.Close()
				return
			}
		}
		late = time.Millisecond
	}
	select {
	case <-w.closed:
		w.Conn.Close()
	default:
	}
}

func (w *wire) Close() error {
	w.once.Do(func() {
		close(w.closed)
		w.c.mu.Lock()
		delete(w.c.conns, w)
		w.c.mu.Unlock()
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.sender { // otherwise send does it
			w.Conn.Close()
		}
	})
	return nil
}
