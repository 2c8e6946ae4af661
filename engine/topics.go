package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
)

// largestState is the most bytes of one key's state: a learner's may be large.
const largestState = 16 << 20

// configOf is the configuration of a topic by its use.
func configOf(t catalog.Topic) topic.Config {
	c := topic.Config{Partitions: t.Partitions, RetentionMs: t.RetentionMs, Compact: t.Compact}
	switch t.Use {
	case catalog.Changelog:
		c.RetentionMs, c.Compact, c.MaxMessage = -1, true, largestState
	case catalog.Exchange:
		c.RetentionMs = -1
	case catalog.Versions:
		c.RetentionMs, c.Compact = -1, true
	case catalog.Data:
		if c.RetentionMs == 0 {
			c.RetentionMs = -1
		}
	}
	return c
}

// ownTopics makes the engine's own topics.
func (e *Engine) ownTopics(ctx context.Context) error {
	for _, name := range []string{errorsTopic, trainingTopic, catalogTopic} {
		if err := e.ensure(ctx, catalog.Topic{Name: e.own(name), Partitions: 1, RetentionMs: -1}); err != nil {
			return err
		}
	}
	return nil
}

// ensure makes topics unless they are there. The embedded broker needs no changelogs.
func (e *Engine) ensure(ctx context.Context, list ...catalog.Topic) error {
	for _, t := range list {
		if t.Use == catalog.Changelog && e.states.db == nil {
			continue
		}
		err := e.broker.Create(ctx, t.Name, configOf(t))
		if err != nil && !errors.Is(err, topic.ErrTopicExists) {
			return fmt.Errorf("make topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// keepHouse makes the topics that the catalog has and deletes those it has given up, whenever it has changed, until the engine closes.
// What a process that died has left undone is done by the next that starts.
func (e *Engine) keepHouse() {
	for {
		select {
		case <-e.chores:
		case <-e.ctx.Done():
			return
		}
		for pause := time.Second; ; pause = min(2*pause, time.Minute) {
			err := e.tidy(e.ctx)
			if err == nil || e.ctx.Err() != nil {
				break
			}
			if !supervise.Passing(err) {
				e.warn(err)
			}
			select {
			case <-time.After(pause):
			case <-e.ctx.Done():
				return
			}
		}
	}
}

// tidy deletes the topics that are to be deleted, and says so in the log.
func (e *Engine) tidy(ctx context.Context) error {
	pending := e.Catalog().Deletions()
	if len(pending) == 0 || e.c.Policy == supervise.Idle && e.shared() {
		return nil
	}
	var gone []string
	var failed error
	for _, name := range pending {
		if err := e.remove(ctx, name); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		gone = append(gone, name)
	}
	if len(gone) == 0 {
		return failed
	}
	err := e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		if len(c.Deletions()) == 0 {
			return nil, nil
		}
		return &catalog.Entry{Kind: "TOPICS", Change: catalog.Change{Deleted: gone}}, nil
	})
	return errors.Join(failed, err)
}

func (e *Engine) remove(ctx context.Context, name string) error {
	if err := e.broker.Delete(ctx, name); err != nil && !errors.Is(err, topic.ErrUnknownTopic) {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return nil
}
