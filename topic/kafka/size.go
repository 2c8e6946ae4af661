package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	defaultMessage = 1<<20 + 12 // Kafka's own default of max.message.bytes
	sizeAge        = time.Minute
)

// sizes remembers what topics take.
type sizes struct {
	mu    sync.Mutex
	known map[string]size
}

type size struct {
	bytes int
	at    time.Time
}

// MaxMessage is the most bytes that one record batch of the topic may have, as its max.message.bytes says; a change is noticed within a
// minute. Kafka's default where this user may not ask. ErrUnknownTopic, wrapped, when there is no such topic.
func (b *Broker) MaxMessage(ctx context.Context, name string) (int, error) {
	b.sizes.mu.Lock()
	s, ok := b.sizes.known[name]
	b.sizes.mu.Unlock()
	if ok && time.Since(s.at) < sizeAge {
		return s.bytes, nil
	}
	n, err := b.maxMessage(ctx, name)
	if errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
		n, err = defaultMessage, nil
	}
	if err != nil {
		return 0, b.about(err, name, "describe")
	}
	b.sizes.mu.Lock()
	if b.sizes.known == nil {
		b.sizes.known = map[string]size{}
	}
	b.sizes.known[name] = size{n, time.Now()}
	b.sizes.mu.Unlock()
	return n, nil
}

func (b *Broker) maxMessage(ctx context.Context, name string) (int, error) {
	const key = "max.message.bytes"
	found, err := b.settings(ctx, name, []string{key})
	if err != nil {
		return 0, err
	}
	s, ok := found[key]
	if !ok {
		return 0, fmt.Errorf("the answer has no %s", key)
	}
	return strconv.Atoi(s.value)
}
