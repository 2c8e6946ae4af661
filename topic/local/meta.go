package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/topic"
)

// The broker's keys in the database begin with 'b'. They contain everything that a transaction
// decides, so that one batch of the database is the commit. Segment files contain only record
// bytes; bytes beyond a segment's recorded size were never committed.
//
//	b v                                   format
//	b n                                   number of the next topic
//	b t <name>                            a topic: number, partitions, retention, compact, and the segment size if it is set
//	b p <topic> <partition>               a partition: first and next offset
//	b s <topic> <partition> <base>        a segment: file, size, next offset, newest timestamp
//	b g <group> <topic name> <partition>  a position: topic, offset
const (
	keyBroker   = 'b'
	keyFormat   = 'v'
	keyNumber   = 'n'
	keyTopic    = 't'
	keyPart     = 'p'
	keySegment  = 's'
	keyPosition = 'g'
)

// format is the version of the database's layout. Open refuses newer versions.
const format = 1

// ErrCorrupt is wrapped by errors about stored bytes that differ from those that the broker
// wrote.
var ErrCorrupt = errors.New("the broker's data is damaged")

// key returns the prefix of a kind of key.
func key(kind byte) []byte { return []byte{keyBroker, kind} }

// topicKey returns the key of a topic.
func topicKey(name string) []byte { return append(key(keyTopic), name...) }

// partKey returns the key of a partition, or the prefix of its segments.
func partKey(kind byte, id uint64, part int32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(key(kind), id), uint32(part))
}

// segmentKey returns the key of a segment; keys sort by base offset.
func segmentKey(id uint64, part int32, base topic.Offset) []byte {
	return binary.BigEndian.AppendUint64(partKey(keySegment, id, part), uint64(base))
}

// groupKey returns the prefix of a group's positions.
func groupKey(group string) []byte { return appendText(key(keyPosition), group) }

// positionKey returns the key of a position.
func positionKey(group string, p topic.Partition) []byte {
	return binary.BigEndian.AppendUint32(appendText(groupKey(group), p.Topic), uint32(p.ID))
}

// appendText escapes 0x00 and ends the text with 0x00 0x01, so that no encoded name is a prefix
// of another.
func appendText(dst []byte, s string) []byte {
	return append(append(dst, strings.ReplaceAll(s, "\x00", "\x00\xff")...), 0, 1)
}

// encode writes the fields of a value as unsigned varints, in the order of the table above.
func encode(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// decode reads the fields that encode wrote; missing trailing fields keep their values.
func decode(b []byte, values ...*uint64) error {
	for _, v := range values {
		x, n := binary.Uvarint(b)
		if n <= 0 {
			return ErrCorrupt
		}
		*v, b = x, b[n:]
	}
	if len(b) != 0 {
		return ErrCorrupt
	}
	return nil
}

// encode returns the stored form of a topic.
func (t *topicState) encode() []byte {
	compact := uint64(0)
	if t.config.Compact {
		compact = 1
	}
	fields := []uint64{t.id, uint64(t.config.Partitions), uint64(t.config.RetentionMs), compact}
	if t.config.SegmentBytes > 0 {
		fields = append(fields, uint64(t.config.SegmentBytes))
	}
	return encode(fields...)
}

// encode returns the stored form of a partition.
func (p *partition) encode() []byte { return encode(uint64(p.start), uint64(p.end)) }

// encode returns the stored form of a segment.
func (s *segment) encode() []byte {
	return encode(s.file, uint64(s.size), uint64(s.next), uint64(s.newest))
}

// load reads all topics from the database.
func (b *Broker) load() error {
	if err := b.loadFormat(); err != nil {
		return err
	}
	err := b.each(key(keyTopic), func(k, v []byte) error {
		t := &topicState{name: string(k)}
		var parts, retention, compact, segment uint64
		err := decode(v, &t.id, &parts, &retention, &compact)
		if err != nil {
			err = decode(v, &t.id, &parts, &retention, &compact, &segment)
		}
		if err != nil || parts == 0 || parts > maxPartitions {
			return fmt.Errorf("topic %q: %w", k, ErrCorrupt)
		}
		// A retention without limit is stored as the unsigned form of -1, and converted back here.
		t.config = topic.Config{
			Partitions:   int32(parts),
			RetentionMs:  int64(retention),
			Compact:      compact != 0,
			SegmentBytes: int64(segment),
		}
		for i := range t.config.Partitions {
			p, err := b.loadPartition(t, i)
			if err != nil {
				return fmt.Errorf("topic %q, partition %d: %w", k, i, err)
			}
			t.parts = append(t.parts, p)
		}
		b.topics[t.name] = t
		return nil
	})
	return err
}

// loadFormat checks the version of the layout, and writes it into a new database.
func (b *Broker) loadFormat() error {
	var f uint64
	if err := b.get(key(keyFormat), &f); err != nil {
		return err
	}
	switch {
	case f == 0:
		first := b.db.NewBatch()
		first.Set(key(keyFormat), encode(format), nil)
		if err := b.apply(first); err != nil {
			return err
		}
	case f > format:
		return fmt.Errorf(
			"the directory has format %d, but this version supports formats up to %d; use a newer version",
			f,
			format,
		)
	}
	return b.get(key(keyNumber), &b.number)
}

// loadPartition reads a partition and its segments, and checks that they are contiguous.
func (b *Broker) loadPartition(t *topicState, id int32) (*partition, error) {
	p := &partition{topic: t, id: id}
	var start, end uint64
	if err := b.get(partKey(keyPart, t.id, id), &start, &end); err != nil {
		return nil, err
	}
	p.start, p.end = topic.Offset(start), topic.Offset(end)
	err := b.each(partKey(keySegment, t.id, id), func(k, v []byte) error {
		s := &segment{}
		var size, next, newest uint64
		if len(k) != 8 || decode(v, &s.file, &size, &next, &newest) != nil {
			return ErrCorrupt
		}
		s.base, s.size, s.next, s.newest = topic.Offset(
			binary.BigEndian.Uint64(k),
		), int64(
			size,
		), topic.Offset(
			next,
		), int64(
			newest,
		)
		if n := len(p.segments); n > 0 && p.segments[n-1].next > s.base || s.next < s.base || s.next > p.end {
			return ErrCorrupt
		}
		p.segments = append(p.segments, s)
		// Files of transactions that were not committed may have larger numbers. sweep deletes them
		// before any of their numbers is used again.
		b.file = max(b.file, s.file+1)
		return nil
	})
	return p, err
}

// get decodes the value of a key. If the key does not exist, the values do not change.
func (b *Broker) get(k []byte, values ...*uint64) error {
	v, closer, err := b.db.Get(k)
	if err == pebble.ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(decode(v, values...), closer.Close())
}

// each calls f for every key with the prefix, which is removed from the key.
func (b *Broker) each(prefix []byte, f func(k, v []byte) error) error {
	upper := slices.Clone(prefix)
	for i := len(upper) - 1; ; i-- {
		if upper[i]++; upper[i] != 0 {
			break
		}
	}
	it, err := b.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = f(slices.Clone(it.Key()[len(prefix):]), v)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}
