package exec

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/streamql/streamql/topic"
)

// refusing is a broker that authorizes no join.
type refusing struct {
	topic.Broker
	joins int
}

func (r *refusing) Join(context.Context, topic.Group) (topic.Member, error) {
	r.joins++
	return nil, fmt.Errorf("%w: %w", topic.ErrLost, topic.ErrRefused)
}

// distant is a broker that is unreachable for the first joins.
type distant struct {
	topic.Broker
	joins, away int
}

func (a *distant) Join(ctx context.Context, g topic.Group) (topic.Member, error) {
	if a.joins++; a.joins <= a.away {
		return nil, topic.ErrUnreachable
	}
	return a.Broker.Join(ctx, g)
}

// TestAway: a job waits for an unreachable cluster.
func TestAway(t *testing.T) {
	w := newWorld(t, 1024)
	w.put("1", "2")
	b := &distant{Broker: w.b, away: 3}
	w.env.Broker = b
	if err := w.job(&sums{}, 1, false).Run(ctx); err != nil || b.joins != 4 {
		t.Errorf("after %d joins: %v", b.joins, err)
	}
}

// TestRefused: a job that lacks an authorization retries a few times and then fails with the
// cause.
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
