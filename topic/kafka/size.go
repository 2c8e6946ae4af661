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

// The limits of record sizes.
const (
	defaultMessage = 1<<20 + 12 // Kafka's default of max.message.bytes
	sizeAge        = time.Minute
)

// sizes caches the size limits of topics.
type sizes struct {
	mu    sync.Mutex
	known map[string]size
}

// size is a limit and when it was read.
type size struct {
	bytes int
	at    time.Time
}

// MaxMessage returns the size limit of a record batch of the topic in bytes
// (max.message.bytes). Changes are noticed within a minute. If this user may not read the
// setting, it returns Kafka's default. ErrUnknownTopic, wrapped, if the topic does not exist.
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

// maxMessage reads the setting from the cluster.
func (b *Broker) maxMessage(ctx context.Context, name string) (int, error) {
	const key = "max.message.bytes"
	found, err := b.settings(ctx, name, []string{key})
	if err != nil {
		return 0, err
	}
	s, ok := found[key]
	if !ok {
		return 0, fmt.Errorf("the response has no %s", key)
	}
	return strconv.Atoi(s.value)
}
