package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Describe implements topic.Source. The ends are high watermarks, so they are after undecided
// transactions.
func (b *Broker) Describe(ctx context.Context, name string) (topic.Topic, error) {
	return b.look(ctx, name, every)
}

// DescribeOnly implements topic.Narrow.
func (b *Broker) DescribeOnly(ctx context.Context, name string, partitions ...int32) (topic.Topic, error) {
	return b.look(ctx, name, func(id int32) bool { return slices.Contains(partitions, id) })
}

// maxUnheard is how often a node may deny that it leads any partition of a topic that metadata
// shows. It has not received the topic's metadata yet.
const maxUnheard = 8

// look returns one topic with the offsets of the partitions that selects accepts.
func (b *Broker) look(ctx context.Context, name string, selects func(id int32) bool) (topic.Topic, error) {
	for n := 0; ; n++ {
		l, err := b.layout(ctx, name)
		if err != nil {
			return topic.Topic{}, err
		}
		out, err := b.describe(ctx, []layout{l}, selects)
		switch {
		case err == nil:
			return out[0], nil
		case !errors.Is(err, kerr.UnknownTopicOrPartition):
			return topic.Topic{}, b.about(err, name, "describe")
		case n == maxUnheard:
			return topic.Topic{}, fmt.Errorf(
				"topic %q: a leader does not know the topic yet: %w",
				name,
				topic.ErrNotYet,
			)
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return topic.Topic{}, err
		}
	}
}

// every selects all partitions.
func every(int32) bool { return true }

// Topics implements topic.Admin: all topics that this user may describe, by name, without
// Kafka's internal ones.
func (b *Broker) Topics(ctx context.Context) ([]topic.Topic, error) {
	for tries := 0; ; tries++ {
		all, err := layouts(ctx, b.cl)
		if err != nil {
			return nil, b.explain(err, "list the topics")
		}
		all = slices.DeleteFunc(
			all,
			func(l layout) bool { return l.internal || strings.HasPrefix(l.name, "__") || l.err != nil },
		)
		slices.SortFunc(all, func(x, y layout) int { return strings.Compare(x.name, y.name) })
		out, err := b.describe(ctx, all, every)
		unknown := errors.Is(err, kerr.UnknownTopicOrPartition)
		if unknown && tries < maxUnheard { // a topic was deleted meanwhile, and not every node knows it yet
			if err := sleep(ctx, pause(tries)/4); err != nil {
				return nil, err
			}
			continue
		}
		if unknown {
			err = fmt.Errorf("%w: %w", topic.ErrNotYet, err)
		}
		return out, b.explain(err, "list the topics")
	}
}

// describe adds the offsets of the partitions that selects accepts to layouts.
func (b *Broker) describe(ctx context.Context, all []layout, selects func(id int32) bool) ([]topic.Topic, error) {
	var partitions []topic.Partition
	for _, l := range all {
		for i := range l.partitions {
			if selects(int32(i)) {
				partitions = append(partitions, topic.Partition{Topic: l.name, ID: int32(i)})
			}
		}
	}
	from, err := b.offsets(ctx, earliest, partitions...)
	if err != nil {
		return nil, err
	}
	to, err := b.offsets(ctx, latest, partitions...)
	if err != nil {
		return nil, err
	}
	out := make([]topic.Topic, len(all))
	for i, l := range all {
		out[i] = topic.Topic{Name: l.name, ID: l.id.String()}
		for k := range l.partitions {
			p := topic.Partition{Topic: l.name, ID: int32(k)}
			out[i].Partitions = append(
				out[i].Partitions,
				topic.Span{Partition: p, From: from[p], To: max(to[p], from[p])},
			)
		}
	}
	return out, nil
}

// OffsetAt implements topic.Timed. Kafka may return the offset of a transaction marker, whose
// timestamp is the time of its writing. In a topic of older event times, such as a loaded
// history, that offset is far before the first record of the requested time. Records are
// therefore read from there until one has the timestamp.
func (b *Broker) OffsetAt(ctx context.Context, p topic.Partition, ms int64) (topic.Offset, error) {
	ends, err := b.offsets(ctx, latest, p)
	if err != nil {
		return 0, b.about(err, p.Topic, "find offsets by time in")
	}
	at, err := b.offsets(ctx, max(ms, 0), p) // negative times are reserved values of the protocol
	if err != nil {
		return 0, b.about(err, p.Topic, "find offsets by time in")
	}
	if at[p] < 0 || at[p] >= ends[p] {
		return ends[p], nil
	}
	first := ends[p]
	err = topic.Each(
		ctx,
		b,
		[]topic.Span{{Partition: p, From: at[p], To: ends[p]}},
		func(f *topic.Fetch, i int) error {
			if f.Times[i] < ms {
				return nil
			}
			first = f.Offsets[i]
			return errFound
		},
	)
	if err != nil && !errors.Is(err, errFound) {
		return 0, err
	}
	return first, nil
}

// errFound ends the reading of records at the first match.
var errFound = errors.New("found")
