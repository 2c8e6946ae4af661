package conformance

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
)

// collect reads the records of all topics and the list of relations.
func (m *machine) collect(ctx context.Context) error {
	for _, r := range m.engine.Catalog().Relations() {
		if strings.HasPrefix(r.Name, "streamql.") {
			continue
		}
		m.got.sources = append(m.got.sources,
			Source{Name: r.Name, Type: r.Kind(), Schema: strings.ReplaceAll(r.Schema(), " PRIMARY KEY", " KEY"),
				KeyFormat:   formatName(r.Key),
				ValueFormat: formatName(r.Value)})
	}
	topics, err := m.engine.Broker().(topic.Admin).Topics(ctx)
	if err != nil {
		return err
	}
	sort.Slice(topics, func(i, j int) bool { return topics[i].Name < topics[j].Name })
	m.got.topics = map[string]int{}
	for _, t := range topics {
		rest, own := strings.CutPrefix(t.Name, m.own)
		if !own && m.o.Kafka != nil && !slices.Contains(m.names, t.Name) {
			continue // a topic of another application
		}
		name := t.Name
		if own {
			name = embedded + rest
		}
		m.got.topics[name] = len(t.Partitions)
		if own && !m.c.expects(name) {
			continue
		}
		if err := m.outputs(ctx, t, name); err != nil {
			return err
		}
	}
	return nil
}

func formatName(s format.Spec) string { return strings.ToUpper(s.Name) }

// outputs reads the records of a topic except those fed as inputs, partition by partition. name is the
// topic's name in the case.
func (m *machine) outputs(ctx context.Context, t topic.Topic, name string) error {
	key, value, window := m.specs(t.Name, true)
	parts := [2]part{{spec: key}, {spec: value}}
	for _, span := range t.Partitions {
		err := topic.Each(ctx, m.engine.Broker(), []topic.Span{span}, func(f *topic.Fetch, i int) error {
			for _, w := range m.wrote[span.Partition] {
				if f.Offsets[i] >= w.From && f.Offsets[i] < w.To {
					return nil
				}
			}
			out, err := decode(&parts, window, f, i)
			if err != nil {
				return fmt.Errorf("record %d of %s: %w", f.Offsets[i], span.Partition, err)
			}
			out.Topic = name
			m.got.outputs = append(m.got.outputs, out)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// decode decodes a record of a sink.
func decode(parts *[2]part, window *catalog.Windowing, f *topic.Fetch, i int) (output, error) {
	out := output{Topic: f.Topic, Timestamp: f.Times[i]}
	key := f.Key.At(i)
	if window != nil && key != nil {
		tail := 8
		if window.Size < 0 {
			tail = 16
		}
		if len(key) < tail {
			return out, fmt.Errorf("the windowed key has only %d bytes", len(key))
		}
		out.Window = &Window{Type: "TIME", Start: int64(binary.BigEndian.Uint64(key[len(key)-8:]))}
		out.Window.End = out.Window.Start + window.Size
		if tail == 16 {
			out.Window.Type, out.Window.End = "SESSION", int64(binary.BigEndian.Uint64(key[len(key)-16:]))
		}
		key = key[:len(key)-tail]
	}
	var err error
	if out.Key, out.keyType, err = parts[0].decode(key); err != nil {
		return out, fmt.Errorf("key: %w", err)
	}
	if out.Value, out.valueType, err = parts[1].decode(f.Value.At(i)); err != nil {
		return out, fmt.Errorf("value: %w", err)
	}
	if f.Headers != nil {
		for _, h := range f.Headers[i] {
			out.Headers = append(out.Headers, Header{h.Key, h.Value})
		}
	}
	return out, nil
}
