package sim

import (
	"slices"

	"github.com/streamql/streamql/topic"
)

// entry is an element of a partition: a record, or the marker of a transaction.
type entry struct {
	offset  topic.Offset
	txn     *txn // nil: written outside transactions
	control bool
	rec     topic.Record
	cleaned int64 // when compaction first met this tombstone; 0: not yet
}

// partition is a log with Kafka's semantics: entries above the last stable offset are
// undecided, and aborted entries remain until compaction.
type partition struct {
	topic.Partition
	entries     []entry
	gone        []entry // removed by retention; only the oracle uses them
	start, next topic.Offset
	open        []opened
	bug         string // planted in the model
}

// opened is a transaction without a marker in a partition, and its first offset there.
type opened struct {
	txn   *txn
	first topic.Offset
}

func (p *partition) append(e entry) topic.Offset {
	e.offset = p.next
	p.entries = append(p.entries, e)
	p.next++
	return e.offset
}

// write appends a record of a transaction, which may be nil.
func (p *partition) write(t *txn, r topic.Record) topic.Offset {
	at := p.append(entry{txn: t, rec: r})
	if t != nil && !slices.ContainsFunc(p.open, func(o opened) bool { return o.txn == t }) {
		p.open = append(p.open, opened{t, at})
		t.parts = append(t.parts, p)
	}
	return at
}

// mark writes the marker of a decided transaction.
func (p *partition) mark(t *txn) {
	p.append(entry{txn: t, control: true})
	p.open = slices.DeleteFunc(p.open, func(o opened) bool { return o.txn == t })
}

// stable returns the last stable offset: all transactions below it are decided, and their
// markers exist.
func (p *partition) stable() topic.Offset {
	lso := p.next
	for _, o := range p.open {
		lso = min(lso, o.first)
	}
	return lso
}

// visible reports whether a reader of committed records sees an entry below the last stable
// offset.
func (e *entry) visible(bug string) bool {
	if bug == readUncommitted {
		return !e.control
	}
	return !e.control && (e.txn == nil || e.txn.state == committed)
}

// readable returns the offset up to which readers can read now.
func (p *partition) readable() topic.Offset {
	if p.bug == readUncommitted {
		return p.next
	}
	return p.stable()
}

// fetch reads up to n visible records from an offset up to limit; cut chooses the end of the
// span.
func (p *partition) fetch(from, limit topic.Offset, n int) topic.Fetch {
	f := topic.Fetch{Partition: p.Partition, From: from, Next: from}
	i, _ := slices.BinarySearchFunc(p.entries, from, func(e entry, o topic.Offset) int { return int(e.offset - o) })
	for ; i < len(p.entries) && p.entries[i].offset < limit; i++ {
		e := &p.entries[i]
		if e.visible(p.bug) {
			if n == 0 {
				return f
			}
			n--
			f.Offsets, f.Times = append(f.Offsets, e.offset), append(f.Times, e.rec.Time)
			f.Key.Append(e.rec.Key)
			f.Value.Append(e.rec.Value)
		}
		f.Next = e.offset + 1
	}
	f.Next = limit // only holes up to there
	return f
}

// clean compacts the log up to an offset below the last stable one: the newest record of each
// key remains, and a deletion is removed after horizon.
func (p *partition) clean(upTo topic.Offset, now, horizon int64) {
	newest := map[string]topic.Offset{}
	for i := range p.entries {
		if e := &p.entries[i]; e.offset < upTo && e.visible(p.bug) {
			newest[string(e.rec.Key)] = e.offset
		}
	}
	p.entries = slices.DeleteFunc(p.entries, func(e entry) bool {
		switch {
		case e.offset >= upTo:
			return false
		case e.control:
			return true // its decision is final
		case !e.visible(p.bug) || newest[string(e.rec.Key)] != e.offset:
			return true
		}
		return e.rec.Value == nil && e.cleaned > 0 && now-e.cleaned > horizon
	})
	for i := range p.entries {
		if e := &p.entries[i]; e.offset < upTo && e.rec.Value == nil && e.cleaned == 0 {
			e.cleaned = now
		}
	}
}

// drop removes the entries below an offset, as retention does.
func (p *partition) drop(below topic.Offset) {
	i, _ := slices.BinarySearchFunc(p.entries, below, func(e entry, o topic.Offset) int { return int(e.offset - o) })
	p.gone = append(p.gone, p.entries[:i]...)
	p.entries = slices.Clone(p.entries[i:])
	p.start = max(p.start, below)
}

// committed returns all records that were ever committed, for the oracle.
func (p *partition) committed() []entry {
	var out []entry
	for _, e := range slices.Concat(p.gone, p.entries) {
		if !e.control && (e.txn == nil || e.txn.state == committed) {
			out = append(out, e)
		}
	}
	return out
}
