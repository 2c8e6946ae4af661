package kafka

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestTrouble: a node that does not respond is reported after a while, until it responds again.
func TestTrouble(t *testing.T) {
	c := needFake(t, nil)
	now := time.Now()
	c.health.now = func() time.Time { return now }
	if _, err := c.Topics(t.Context()); err != nil || c.Trouble() != nil {
		t.Fatal(err, c.Trouble())
	}
	c.fake.Close()
	for begun := time.Now(); c.Trouble() == nil; now = now.Add(patienceWithNode) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, _ = c.Topics(ctx)
		cancel()
		if time.Since(begun) > 20*time.Second {
			t.Fatal("all nodes are away, and nobody says so")
		}
	}
	if err := c.Trouble(); !strings.Contains(err.Error(), "has not responded for") {
		t.Error(err)
	}
	for node := range int32(3) {
		c.health.note(node, nil)
	}
	if err := c.Trouble(); err != nil {
		t.Error(err)
	}
}
