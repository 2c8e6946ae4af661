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

// largestState is the maximum size of a changelog record in bytes. The state of a learner may be large.
const largestState = 16 << 20

// segment is the segment size of topics that are compacted or trimmed. Neither operation affects the active segment,
// so that the default of 1 GiB would keep 1 GiB per partition.
const segment = 64 << 20

// exchangeSegment is the segment size of exchanges. It is smaller, because an exchange holds only the records that its
// reader has not committed.
const exchangeSegment = 16 << 20

// compactionLag is the maximum time that a changelog keeps the old value of a changed key. A segment is rolled when
// its first record has that age, so a restore reads about that much in addition to the live keys.
const compactionLag = 10 * time.Minute

// configOf returns the configuration of a topic by its use. A zero field selects the default of the broker; for
// example, the topic of a stream has the retention of the broker unless its statement sets another.
func configOf(t catalog.Topic) topic.Config {
	c := topic.Config{Partitions: t.Partitions, RetentionMs: t.RetentionMs, Compact: t.Compact, Replicas: t.Replicas}
	switch t.Use {
	case catalog.Changelog:
		c.Compact, c.SegmentBytes, c.MaxCompactionLagMs, c.MaxMessage = true, segment,
			compactionLag.Milliseconds(), largestState
	case catalog.Exchange: // trimmed after its reader has committed
		c.RetentionMs, c.SegmentBytes = -1, exchangeSegment
	case catalog.Versions:
		c.RetentionMs, c.Compact, c.SegmentBytes = 0, true, segment
	case catalog.Log:
		c.RetentionMs = -1
	case catalog.Journal: // event times may be old, and retention must not delete such rows at once
		c.AppendTime = true
	case catalog.Data:
		if c.Compact {
			c.SegmentBytes = segment
		}
	}
	return c
}

// ownTopics creates the engine's own topics.
func (e *Engine) ownTopics(ctx context.Context) error {
	return e.ensure(ctx, e.ownList()...)
}

func (e *Engine) ownList() []catalog.Topic {
	return []catalog.Topic{{Name: e.own(errorsTopic), Use: catalog.Journal, Partitions: 1},
		{Name: e.own(trainingTopic), Use: catalog.Journal, Partitions: 1},
		{Name: e.own(catalogTopic), Use: catalog.Log, Partitions: 1}}
}

// ensure creates the topics that do not exist. With the embedded broker it skips changelogs, because the broker stores
// the state.
func (e *Engine) ensure(ctx context.Context, list ...catalog.Topic) error {
	for _, t := range list {
		if t.Use == catalog.Changelog && e.states.db == nil {
			continue
		}
		err := e.broker.Create(ctx, t.Name, configOf(t))
		if err != nil && !errors.Is(err, topic.ErrTopicExists) {
			return fmt.Errorf("create topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// keepHouse deletes the topics that the catalog no longer needs, after each change of the catalog, until the engine
// closes. It first migrates topics that an earlier version created. Deletions that a crash interrupted are done after
// the next start.
func (e *Engine) keepHouse() {
	e.migrate(e.ctx)
	for {
		select {
		// One signal may stand for several changes: tidy reads the newest snapshot.
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

// migrate changes the configuration of the engine's own topics to that of configOf. The topics of relations belong to
// their owners, and are not changed.
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
		case errors.Is(err, topic.ErrUnknownTopic): // not created yet
		case err != nil:
			e.c.Log.Warn("the configuration of a topic is outdated and cannot be changed", "topic", t.Name, "error", err)
		case len(have) > 0:
			e.c.Log.Info("the configuration of a topic was updated", "topic", t.Name, "settings", fmt.Sprint(have))
		}
	}
}

// tidy deletes the topics that are pending deletion, and appends an entry to the catalog log that lists them.
func (e *Engine) tidy(ctx context.Context) error {
	pending := e.Catalog().Deletions()
	if len(pending) == 0 || e.c.Policy == supervise.Idle && e.shared() {
		return nil
	}
	if err := e.jobs.Gone(ctx); err != nil { // a running job still needs its topics
		return err
	}
	var gone []string
	var failed error
	for _, name := range pending {
		if err := e.remove(ctx, name); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		// The topic is deleted before the entry says so. A crash between the two repeats the deletion, which then finds
		// no topic.
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

// remove deletes a topic. A topic that does not exist is not an error.
func (e *Engine) remove(ctx context.Context, name string) error {
	if err := e.broker.Delete(ctx, name); err != nil && !errors.Is(err, topic.ErrUnknownTopic) {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return nil
}
