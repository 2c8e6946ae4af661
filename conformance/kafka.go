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

// embedded is what the names of the engine's own topics begin with, unless an application has another name.
const embedded = "streamql."

// application is a case's place on the cluster: a name of its own.
func (m *machine) application() kafka.Config {
	c := *m.o.Kafka
	c.Name = "sqltest-" + strings.ToLower(rand.Text()[:10])
	c.RetentionMs = -1 // the rows of cases bear times long past
	m.own = c.Name + "."
	return c
}

// rehearse runs a case in memory, to learn which topics it uses: on a cluster only these are touched.
func rehearse(ctx context.Context, c *Case, o *Options) ([]string, error) {
	memory := *o
	memory.Kafka, memory.Crash = nil, 0
	got, err := execute(ctx, c, &memory)
	if err != nil {
		return nil, err
	}
	return got.names, nil
}

// used are the topics that a case has used so far, but the engine's own.
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

// free refuses a case whose topics the cluster has already.
func (m *machine) free(ctx context.Context) error {
	for _, name := range m.names {
		_, err := m.engine.Broker().Describe(ctx, name)
		if err == nil {
			return fmt.Errorf("topic %s is on the cluster already, and may be somebody's: the case does not run", name)
		}
		if !errors.Is(err, topic.ErrUnknownTopic) {
			return err
		}
	}
	m.ours = true
	return nil
}

// keep turns compaction off for the topics of a case on a cluster: it wants every row of a table, and records with times of long ago may be
// compacted at once, since the mark of their transaction is so much younger that it begins a new segment.
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
			return fmt.Errorf("keep the rows of topic %s: %w", t.Name, err)
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
		return fmt.Errorf("remove the topics of the case: %w", err)
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
