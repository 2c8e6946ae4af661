package local

import (
	"context"

	"github.com/streamql/streamql/topic"
)

var _ topic.Sizer = (*Broker)(nil)

// Sizes implements topic.Sizer: the committed bytes of the topics' segment files.
func (b *Broker) Sizes(ctx context.Context, topics ...string) (map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	out := map[string]int64{}
	for _, name := range topics {
		t := b.topics[name]
		if t == nil {
			continue
		}
		out[name] = 0
		for _, p := range t.parts {
			for _, s := range p.segments {
				out[name] += s.size
			}
		}
	}
	return out, nil
}
