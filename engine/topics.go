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

// segment is the size of the pieces of topics that are compacted or trimmed: neither touches the newest piece, so the default of 1 GiB would
// keep a GiB of each partition.
const segment = 64 << 20

// exchangeSegment is smaller: an exchange holds little beyond what its reader has not committed yet.
const exchangeSegment = 16 << 20

// compactionLag is how long a changed key's old value may stay in a changelog. A segment is rolled when its first record is as old, so a
// restore reads at most about that much beyond the live keys.
const compactionLag = 10 * time.Minute

// configOf is the configuration of a topic by its use. Zero members leave it to the broker: a stream's topic has the broker's retention unless its
// statement says otherwise.
func configOf(t catalog.Topic) topic.Config {
	c := topic.Config{Partitions: t.Partitions, RetentionMs: t.RetentionMs, Compact: t.Compact, Replicas: t.Replicas}
	switch t.Use {
	case catalog.Changelog:
		c.Compact, c.SegmentBytes, c.MaxCompactionLagMs, c.MaxMessage = true, segment, compactionLag.Milliseconds(), largestState
	case catalog.Exchange: // trimmed when its reader has committed
		c.RetentionMs, c.SegmentBytes = -1, exchangeSegment
	case catalog.Versions:
		c.RetentionMs, c.Compact, c.SegmentBytes = 0, true, segment
	case catalog.Log:
		c.RetentionMs = -1
	case catalog.Journal: // its rows bear the times of what they are about, which may be long ago
		c.AppendTime = true
	case catalog.Data:
		if c.Compact {
			c.SegmentBytes = segment
		}
	}
	return c
}

// ownTopics makes the engine's own topics.
func (e *Engine) ownTopics(ctx context.Context) error {
	return e.ensure(ctx, e.ownList()...)
}

func (e *Engine) ownList() []catalog.Topic {
	return []catalog.Topic{{Name: e.own(errorsTopic), Use: catalog.Journal, Partitions: 1}, {Name: e.own(trainingTopic), Use: catalog.Journal, Partitions: 1},
		{Name: e.own(catalogTopic), Use: catalog.Log, Partitions: 1}}
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

// keepHouse deletes the topics that the catalog has given up, whenever it has changed, until the engine closes. What a process that died has
// left undone is done by the next that starts. It begins with the topics that an earlier version made otherwise.
func (e *Engine) keepHouse() {
	e.migrate(e.ctx)
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

// migrate gives the engine's own topics the configuration that they would be made with now. Topics of relations are their owners', and stay.
func (e *Engine) migrate(ctx context.Context) {
	to, ok := e.broker.(topic.Configurer)
	if !ok || e.c.Policy == supervise.Idle {
		return
	}
	list := e.ownList()
	for _, j := range e.Catalog().Jobs() {
		list = append(list, j.Topics...)
	}
	for _, m := range e.Catalog().Models() {
		list = append(list, versionsTopic(e, m.Name))
	}
	for _, t := range list {
		have, err := to.Differences(ctx, t.Name, configOf(t))
		if err == nil && len(have) > 0 {
			err = to.Configure(ctx, t.Name, have)
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, topic.ErrUnknownTopic): // not made yet
		case err != nil:
			e.c.Log.Warn("a topic's configuration is not as it would be made now", "topic", t.Name, "error", err)
		case len(have) > 0:
			e.c.Log.Info("a topic was given the configuration that it would be made with now", "topic", t.Name, "settings", fmt.Sprint(have))
		}
	}
}

// tidy deletes the topics that are to be deleted, and says so in the log.
func (e *Engine) tidy(ctx context.Context) error {
	pending := e.Catalog().Deletions()
	if len(pending) == 0 || e.c.Policy == supervise.Idle && e.shared() {
		return nil
	}
	if err := e.jobs.Gone(ctx); err != nil { // a job that still runs would miss them
		return err
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
