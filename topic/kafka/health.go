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

// health knows which nodes do not answer. The clients of a Broker share it; kgo tells it of every connection and every answer.
type health struct {
	now  func() time.Time
	mu   sync.Mutex
	sick map[int32]trouble
}

type trouble struct {
	since time.Time
	err   error
}

// patienceWithNode is how long a node may be away before that is worth telling: connections are closed and opened all the time.
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
		return // a connection that ends proves nothing: the next one tells
	}
	h.note(meta.NodeID, err)
}

func (h *health) note(node int32, err error) {
	if node < 0 { // an address that was given; who is there has a number of its own
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
	case err != nil:
		h.sick[node] = trouble{before.since, err}
	}
}

// Trouble implements topic.Patient: the node that has not answered for longest, if that is worth telling.
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
		return fmt.Errorf("kafka: node %d has not answered for %s: %w", node, away.Round(time.Second), worst.err)
	}
	return nil
}
