package exec

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/streamql/streamql/topic"
)

// refusing is a broker whose groups nobody may join.
type refusing struct {
	topic.Broker
	joins int
}

func (r *refusing) Join(context.Context, topic.Group) (topic.Member, error) {
	r.joins++
	return nil, fmt.Errorf("%w: %w", topic.ErrLost, topic.ErrRefused)
}

// TestRefused holds that a job does not go on for ever without a right that it needs: it asks a few times, then it fails and says why.
func TestRefused(t *testing.T) {
	w := newWorld(t, 1024)
	b := &refusing{Broker: w.b}
	w.env.Broker = b
	j := w.job(&sums{}, topic.End, false)
	err := j.Run(ctx)
	if !errors.Is(err, topic.ErrRefused) || b.joins != maxRefused+1 {
		t.Errorf("after %d joins: %v", b.joins, err)
	}
}
