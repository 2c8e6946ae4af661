package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/kafka"
)

// embedded is the prefix of the engine's own topics on the embedded broker.
const embedded = "streamql."

// application returns the configuration of a case on the cluster, with an application name of its own.
func (m *machine) application() kafka.Config {
	c := *m.o.Kafka
	c.Name = "sqltest-" + strings.ToLower(rand.Text()[:10])
	c.RetentionMs = -1 // the rows of cases have timestamps in the distant past
	m.own = c.Name + "."
	return c
}

// rehearse runs a case in memory to find the topics that it uses. On a cluster only these are touched.
func rehearse(ctx context.Context, c *Case, o *Options) ([]string, error) {
	memory := *o
	memory.Kafka, memory.Crash = nil, 0
	got, err := execute(ctx, c, &memory)
	if err != nil {
		return nil, err
	}
	return got.names, nil
}

// used returns the topics that a case has used so far, except the engine's own.
func (m *machine) used() []string {
	names := map[string]bool{}
	for name := range m.got.topics {
		names[name] = true
	}
	for name := range m.relations {
		names[name] = true
	}
	for _, t := range m.c.Topics {
		names[t.Name] = true
	}
	for _, in := range append(slices.Clone(m.c.Input), m.c.After...) {
		names[in.Topic] = true
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return strings.HasPrefix(name, embedded) })
	return slices.Sorted(maps.Keys(names))
}

// free rejects a case whose topics exist on the cluster already.
func (m *machine) free(ctx context.Context) error {
	for _, name := range m.names {
		_, err := m.engine.Broker().Describe(ctx, name)
		if err == nil {
			return fmt.Errorf("topic %s exists on the cluster and may belong to another application; the case does not run",
				name)
		}
		if !errors.Is(err, topic.ErrUnknownTopic) {
			return err
		}
	}
	m.ours = true
	return nil
}

// keep disables compaction of a case's topics on a cluster, because the case compares every row of a table.
// Records with old timestamps could be compacted at once: the commit marker of their transaction is so much
// younger that it starts a new segment.
func (m *machine) keep(ctx context.Context) error {
	if m.o.Kafka == nil {
		return nil
	}
	topics, err := m.engine.Broker().(topic.Admin).Topics(ctx)
	if err != nil {
		return err
	}
	for _, t := range topics {
		if !slices.Contains(m.names, t.Name) {
			continue
		}
		kept := []topic.Setting{{Key: "cleanup.policy", Want: "delete"}, {Key: "retention.ms", Want: "-1"}}
		if err := m.engine.Broker().(topic.Configurer).Configure(ctx, t.Name, kept); err != nil {
			return fmt.Errorf("cannot disable compaction of topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// leave removes the topics of a case from the cluster.
func (m *machine) leave(ctx context.Context) error {
	if m.o.Kafka == nil {
		return nil
	}
	admin := m.engine.Broker().(topic.Admin)
	topics, err := admin.Topics(ctx)
	if err != nil {
		return fmt.Errorf("cannot remove the topics of the case: %w", err)
	}
	var errs []error
	for _, t := range topics {
		if !strings.HasPrefix(t.Name, m.own) && !(m.ours && slices.Contains(m.names, t.Name)) {
			continue
		}
		if err := admin.Delete(ctx, t.Name); err != nil && !errors.Is(err, topic.ErrUnknownTopic) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
