package kafka

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// health tracks the nodes that do not respond. All clients of a Broker share it; kgo calls it
// for every connection and every response.
type health struct {
	now func() time.Time
	// kgo calls the hooks from the goroutines of its connections, so mu is held only for the update
	// of the map.
	mu   sync.Mutex
	sick map[int32]trouble
}

// trouble is the first failure of a node since its last response.
type trouble struct {
	since time.Time
	err   error
}

// patienceWithNode is how long a node may be down before Trouble reports it. Connections are
// closed and reopened regularly.
const patienceWithNode = 2 * time.Second

var (
	_ kgo.HookBrokerConnect = (*health)(nil)
	_ kgo.HookBrokerE2E     = (*health)(nil)
	_ topic.Patient         = (*Broker)(nil)
)

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h *health) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		h.note(meta.NodeID, err)
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (h *health) OnBrokerE2E(meta kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	err := e.Err()
	var timeout net.Error
	if err != nil && !errors.As(err, &timeout) {
		return // a closed connection proves nothing; the next one decides
	}
	h.note(meta.NodeID, err)
}

// note records a node's failure, or its recovery if err is nil.
func (h *health) note(node int32, err error) {
	if node < 0 { // a seed address; the node at that address is also tracked under its own number
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before, sick := h.sick[node]
	switch {
	case err == nil && sick:
		delete(h.sick, node)
	case err != nil && !sick:
		h.sick[node] = trouble{h.now(), err}
	// since stays: the duration counts from the first failure, and the message shows the newest
	// cause.
	case err != nil:
		h.sick[node] = trouble{before.since, err}
	}
}

// Trouble implements topic.Patient. It reports the node that has been down for longest, if that
// is longer than patienceWithNode.
func (b *Broker) Trouble() error {
	h := &b.health
	h.mu.Lock()
	defer h.mu.Unlock()
	var worst trouble
	node := int32(0)
	for n, t := range h.sick {
		if worst.err == nil || t.since.Before(worst.since) {
			worst, node = t, n
		}
	}
	if away := h.now().Sub(worst.since); worst.err != nil && away >= patienceWithNode {
		return fmt.Errorf("kafka: node %d has not responded for %s: %w", node, away.Round(time.Second), worst.err)
	}
	return nil
}
