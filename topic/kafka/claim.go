package kafka

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/streamql/streamql/topic"
)

// claim is the user data of a member's subscription, which it sends when it joins.
type claim struct {
	id       string // of the member; not part of the data
	epoch    int64  // of the last assignment it received
	address  string
	standbys int
	tasks    []topic.Partition // that it can run
	owned    []topic.Partition // that it may be running
	warm     map[topic.Partition]topic.Offset
}

// verdict is the user data of a member's assignment. The tasks are the assignment itself.
type verdict struct {
	epoch    int64
	standbys []topic.Partition
	owners   map[topic.Partition]string
	free     bool // some task has no owner
}

// dataVersion is the first byte of claims and verdicts. A member ignores data of an unknown
// version.
const dataVersion = 1

// errData reports user data that cannot be decoded.
var errData = errors.New("the user data of a group member cannot be decoded")

// encode returns the wire form of a claim: the version, then counts and values as uvarints and
// length-prefixed text.
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

// decodeClaim decodes the result of claim.encode.
func decodeClaim(data []byte) (claim, error) {
	d := decoder{rest: data}
	d.version()
	c := claim{
		epoch:    int64(d.number()),
		address:  d.text(),
		standbys: int(min(d.number(), 1<<16)),
		tasks:    d.partitions(),
		owned:    d.partitions(),
	}
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

// encode returns the wire form of a verdict.
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

// decodeVerdict decodes the result of verdict.encode.
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

// appendText appends a length and the text.
func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

// appendPartitions sorts partitions and appends them grouped by topic.
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

// partitionsOf returns the keys of m.
func partitionsOf[V any](m map[topic.Partition]V) []topic.Partition {
	var ps []topic.Partition
	for p := range m {
		ps = append(ps, p)
	}
	slices.SortFunc(ps, topic.Compare)
	return ps
}

// decoder decodes untrusted user data. After the first error it returns zero values, and no
// count exceeds the number of remaining bytes, so that bad data cannot cause a large
// allocation.
type decoder struct {
	rest []byte
	bad  bool
}

// fail puts the decoder into its error state.
func (d *decoder) fail() {
	d.rest, d.bad = nil, true
}

// version checks the version byte.
func (d *decoder) version() {
	if len(d.rest) == 0 || d.rest[0] != dataVersion {
		d.fail()
		return
	}
	d.rest = d.rest[1:]
}

// number decodes an unsigned integer.
func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > 1<<62 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count decodes the number of elements that follow, which take at least one byte each.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

// text decodes a length-prefixed text.
func (d *decoder) text() string {
	n := d.count()
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// partitions decodes the result of appendPartitions.
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
