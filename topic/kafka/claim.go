package kafka

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/streamql/streamql/topic"
)

// claim is what a member says when it joins, as the user data of its subscription.
type claim struct {
	id       string // the member's, not part of the data
	epoch    int64  // of the last assignment it saw
	address  string
	standbys int
	tasks    []topic.Partition // that it can run
	owned    []topic.Partition // that it may be running
	warm     map[topic.Partition]topic.Offset
}

// verdict is what the leader tells a member, as the user data of its assignment; the tasks are the assignment itself.
type verdict struct {
	epoch    int64
	standbys []topic.Partition
	owners   map[topic.Partition]string
	free     bool // there are tasks without an owner
}

// dataVersion is the first byte of both. A member that does not know it takes the data for absent.
const dataVersion = 1

var errData = errors.New("the data of a group member cannot be read")

func (c *claim) encode() []byte {
	out := []byte{dataVersion}
	out = binary.AppendUvarint(out, uint64(c.epoch))
	out = appendText(out, c.address)
	out = binary.AppendUvarint(out, uint64(max(c.standbys, 0)))
	out = appendPartitions(out, c.tasks)
	out = appendPartitions(out, c.owned)
	warm := partitionsOf(c.warm)
	out = appendPartitions(out, warm)
	for _, p := range warm {
		out = binary.AppendUvarint(out, uint64(max(c.warm[p], 0)))
	}
	return out
}

func decodeClaim(data []byte) (claim, error) {
	d := decoder{rest: data}
	d.version()
	c := claim{epoch: int64(d.number()), address: d.text(), standbys: int(min(d.number(), 1<<16)), tasks: d.partitions(), owned: d.partitions()}
	for _, p := range d.partitions() {
		if c.warm == nil {
			c.warm = map[topic.Partition]topic.Offset{}
		}
		c.warm[p] = topic.Offset(d.number())
	}
	if d.bad {
		return claim{}, errData
	}
	return c, nil
}

func (v *verdict) encode() []byte {
	out := []byte{dataVersion}
	out = binary.AppendUvarint(out, uint64(v.epoch))
	out = appendPartitions(out, v.standbys)
	owned := partitionsOf(v.owners)
	var addresses []string
	for _, p := range owned {
		addresses = append(addresses, v.owners[p])
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	out = binary.AppendUvarint(out, uint64(len(addresses)))
	for _, a := range addresses {
		out = appendText(out, a)
	}
	out = appendPartitions(out, owned)
	for _, p := range owned {
		i, _ := slices.BinarySearch(addresses, v.owners[p])
		out = binary.AppendUvarint(out, uint64(i))
	}
	if v.free {
		return append(out, 1)
	}
	return append(out, 0)
}

func decodeVerdict(data []byte) (verdict, error) {
	d := decoder{rest: data}
	d.version()
	v := verdict{epoch: int64(d.number()), standbys: d.partitions(), owners: map[topic.Partition]string{}}
	var addresses []string
	for range d.count() {
		addresses = append(addresses, d.text())
	}
	for _, p := range d.partitions() {
		i := d.number()
		if i >= uint64(len(addresses)) {
			return verdict{}, errData
		}
		v.owners[p] = addresses[i]
	}
	v.free = d.number() == 1
	if d.bad {
		return verdict{}, errData
	}
	return v, nil
}

func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

// appendPartitions writes partitions, which it sorts, topic by topic.
func appendPartitions(out []byte, ps []topic.Partition) []byte {
	ps = slices.SortedFunc(slices.Values(ps), topic.Compare)
	var topics [][]topic.Partition
	for i, p := range ps {
		if i == 0 || ps[i-1].Topic != p.Topic {
			topics = append(topics, nil)
		}
		topics[len(topics)-1] = append(topics[len(topics)-1], p)
	}
	out = binary.AppendUvarint(out, uint64(len(topics)))
	for _, t := range topics {
		out = appendText(out, t[0].Topic)
		out = binary.AppendUvarint(out, uint64(len(t)))
		for _, p := range t {
			out = binary.AppendUvarint(out, uint64(uint32(p.ID)))
		}
	}
	return out
}

func partitionsOf[V any](m map[topic.Partition]V) []topic.Partition {
	var ps []topic.Partition
	for p := range m {
		ps = append(ps, p)
	}
	slices.SortFunc(ps, topic.Compare)
	return ps
}

// decoder reads what the encoders wrote, or anything else: after the first fault it gives zeros, and no count is larger than the bytes
// that are left.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.rest, d.bad = nil, true
}

func (d *decoder) version() {
	if len(d.rest) == 0 || d.rest[0] != dataVersion {
		d.fail()
		return
	}
	d.rest = d.rest[1:]
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > 1<<62 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count is a number of things that take a byte each or more.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) partitions() []topic.Partition {
	var ps []topic.Partition
	for range d.count() {
		name := d.text()
		for range d.count() {
			ps = append(ps, topic.Partition{Topic: name, ID: int32(uint32(d.number()))})
		}
	}
	return ps
}
