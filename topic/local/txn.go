package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/internal/fault"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

// txn collects batches per partition in memory, and Commit appends them. An abort therefore
// leaves no bytes in any file. One goroutine uses it; Broker.mu guards the fields that another
// Begin of the same id changes.
type txn struct {
	b     *Broker
	id    string
	parts map[topic.Partition]*output
	// kept receives the state and the positions, and in Commit the ends of partitions. It is the
	// one batch of the database that commits all of them.
	kept   *pebble.Batch // created when it is needed
	newest uint64        // number of the newest topic when the transaction began
	done   bool
}

// output is the data that a transaction writes to one partition.
// writer and raw belong to the goroutine of the transaction. The offsets in raw are relative until
// plan sets them, because only Commit knows the end of the partition.
type output struct {
	topic  *topicState
	part   *partition
	writer batch.Writer
	raw    []byte
	sizes  []int // sizes of the batches in raw
}

// batchBytes is the size at which a batch ends.
const batchBytes = 512 << 10

// errDone is returned by calls after the end of a transaction.
var errDone = errors.New("the transaction has ended")

// Begin implements topic.Sink. The transaction is a topic.Keeper.
func (b *Broker) Begin(ctx context.Context, id string) (topic.Txn, error) {
	b.writing.Lock() // waits for the end of a commit in progress
	defer b.writing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return nil, err
	}
	t := &txn{b: b, id: id, parts: map[topic.Partition]*output{}, newest: b.number}
	// An earlier transaction of the id is fenced from here on: each of its calls finds that it is
	// not the newest.
	b.writers[id] = t
	return t, nil
}

// usable returns an error if the transaction has ended or is fenced, or the broker has failed.
// b.mu is held.
func (t *txn) usable() error {
	if t.done {
		return errDone
	}
	if err := t.b.usable(); err != nil {
		return err
	}
	if t.b.writers[t.id] != t {
		return fmt.Errorf("writer %q: %w", t.id, topic.ErrFenced)
	}
	return nil
}

// Write implements topic.Txn. The records are copied.
func (t *txn) Write(p topic.Partition, records ...topic.Record) error {
	out, err := t.output(p)
	if err != nil {
		return err
	}
	for i := range records {
		if err := out.writer.Append(&records[i]); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if out.writer.Size() >= batchBytes {
			if err := out.flush(); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
	}
	return nil
}

// output returns the transaction's output for a partition.
func (t *txn) output(p topic.Partition) (*output, error) {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	out := t.parts[p]
	if out == nil {
		part, err := t.b.partition(p)
		if err != nil {
			return nil, err
		}
		out = &output{topic: part.topic, part: part}
		t.parts[p] = out
	}
	if out.topic.gone {
		return nil, fmt.Errorf("topic %q: %w", p.Topic, topic.ErrTopicReplaced)
	}
	return out, nil
}

// flush ends the batch. Commit sets its offset.
func (o *output) flush() error {
	before := len(o.raw)
	raw, err := o.writer.Flush(o.raw, 0)
	if err != nil {
		return err
	}
	if o.raw = raw; len(raw) > before {
		o.sizes = append(o.sizes, len(raw)-before)
	}
	return nil
}

// Keep implements topic.Keeper.
func (t *txn) Keep(state ...topic.Record) error {
	t.b.mu.Lock()
	err := t.usable()
	t.b.mu.Unlock()
	if err != nil {
		return err
	}
	kept := t.batch()
	for i := range state {
		r := &state[i]
		if len(r.Key) == 0 || r.Key[0] == keyBroker {
			return fmt.Errorf("state key %q is empty or belongs to the broker", r.Key)
		}
		if r.Value == nil {
			err = kept.Delete(r.Key, nil)
		} else {
			err = kept.Set(r.Key, r.Value, nil)
		}
		if err != nil {
			return fmt.Errorf("keep state: %w", err)
		}
	}
	return nil
}

// batch returns the database batch of the transaction.
func (t *txn) batch() *pebble.Batch {
	if t.kept == nil {
		t.kept = t.b.db.NewBatch()
	}
	return t.kept
}

// change is the effect of a commit on one segment. Readers do not see it before the database
// has it.
type change struct {
	part    *partition
	segment *segment
	raw     []byte
	headers []batch.Header
	size    int64
	next    topic.Offset
	newest  int64
	fresh   bool // a new segment
}

// Commit implements topic.Txn: append, sync, one batch of the database, publish. After an error
// before the append, nothing has changed and the transaction has ended; after a later error the
// broker has failed.
func (t *txn) Commit(ctx context.Context, read map[topic.Partition]topic.Offset) error {
	b := t.b
	b.writing.Lock()
	defer b.writing.Unlock()
	// Whatever happens below, the transaction has ended: a caller begins a new one, it does not
	// commit again.
	if err := t.end(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := t.position(read); err != nil {
		return err
	}
	var changes []*change
	for _, out := range t.sorted() {
		if out.topic.gone {
			return fmt.Errorf("topic %q: %w", out.topic.name, topic.ErrTopicReplaced)
		}
		if err := out.flush(); err != nil {
			return err
		}
		changes = append(changes, b.plan(out)...)
	}
	if len(changes) == 0 && t.kept == nil {
		return nil
	}
	// Until here only memory has changed. From here to apply, a crash leaves bytes after the
	// committed sizes, which the next commit overwrites or the next open deletes.
	fault.Point("local-before-append")
	if err := b.append(changes); err != nil {
		return b.fail(err)
	}
	fault.Point("local-appended")
	kept := t.batch()
	for _, c := range changes {
		later := segment{file: c.segment.file, size: c.size, next: c.next, newest: c.newest}
		kept.Set(segmentKey(c.part.topic.id, c.part.id, c.segment.base), later.encode(), nil)
		end := partition{start: c.part.start, end: c.next}
		kept.Set(partKey(keyPart, c.part.topic.id, c.part.id), end.encode(), nil)
	}
	if err := b.apply(kept); err != nil {
		return err
	}
	t.kept = nil
	fault.Point("local-committed")
	// Readers see the records only after they are durable.
	b.publish(changes)
	return b.retainNow(false)
}

// end ends the transaction, whatever its outcome.
// It returns an error if the transaction cannot be committed any more: it has ended, is fenced, or
// the broker has failed.
func (t *txn) end() error {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	err := t.usable()
	t.done = true
	if t.b.writers[t.id] == t {
		delete(t.b.writers, t.id)
	}
	return err
}

// position adds the group's positions to the batch.
func (t *txn) position(read map[topic.Partition]topic.Offset) error {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	for _, p := range slices.SortedFunc(maps.Keys(read), topic.Compare) {
		if read[p] < 0 {
			return fmt.Errorf("%s: position %d", p, read[p])
		}
		var id uint64 // 0: a topic of another broker
		if top := t.b.topics[p.Topic]; top != nil {
			// The topic was created after the transaction began, so the position belongs to a
			// deleted topic of that name.
			if id = top.id; id > t.newest {
				return fmt.Errorf("topic %q: %w", p.Topic, topic.ErrTopicReplaced)
			}
		}
		if err := t.batch().Set(positionKey(t.id, p), encode(id, uint64(read[p])), nil); err != nil {
			return err
		}
	}
	return nil
}

// sorted returns the outputs by topic and partition, so that a commit always writes in the same
// order.
func (t *txn) sorted() []*output {
	var out []*output
	for _, p := range slices.SortedFunc(maps.Keys(t.parts), topic.Compare) {
		out = append(out, t.parts[p])
	}
	return out
}

// plan assigns offsets and segments to the batches of a partition. Only writers change segments
// and ends, and writing is held.
func (b *Broker) plan(out *output) []*change {
	p := out.part
	var changes []*change
	var c *change
	end := p.end
	if n := len(p.segments); n > 0 {
		s := p.segments[n-1]
		c = &change{part: p, segment: s, size: s.size, next: s.next, newest: s.newest}
	}
	raw := out.raw
	for _, size := range out.sizes {
		batch.SetBase(raw, end)
		h, err := batch.Peek(raw)
		if err != nil {
			panic("local: invalid batch in our own output: " + err.Error())
		}
		if c == nil || c.size > 0 && c.size+int64(size) > b.segmentBytes(out.topic) {
			c = &change{
				part:    p,
				segment: &segment{file: b.file, base: end},
				next:    end,
				fresh:   true,
				newest:  h.MaxTime,
			}
			b.file++
		}
		if len(c.headers) == 0 {
			changes = append(changes, c)
			c.raw = raw[:0]
		}
		c.raw = c.raw[:len(c.raw)+size] // the batches of a segment are adjacent in memory
		c.headers = append(c.headers, h)
		c.size += int64(size)
		c.newest = max(c.newest, h.MaxTime)
		end = h.Next()
		c.next = end
		raw = raw[size:]
	}
	return changes
}

// append writes the changes into the files and syncs them.
// It changes no field of a published segment: sizes and ends change in publish, after the database
// has them.
func (b *Broker) append(changes []*change) error {
	made := false
	for _, c := range changes {
		pos := c.segment.size
		if c.fresh {
			if err := c.segment.create(b); err != nil {
				return err
			}
			made = true
		}
		if err := c.segment.write(b, c.raw, pos); err != nil {
			return err
		}
		fault.Point("local-written")
	}
	if b.o.memory {
		return nil
	}
	for _, c := range changes {
		if err := c.segment.fsync(b); err != nil {
			return err
		}
	}
	if made {
		return b.syncDir(b.logDir)
	}
	return nil
}

// publish makes the committed changes visible to readers.
func (b *Broker) publish(changes []*change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range changes {
		s := c.segment
		s.mu.Lock()
		pos := s.size
		for i := range c.headers {
			s.note(&c.headers[i], pos)
			pos += int64(c.headers[i].Size)
		}
		s.mu.Unlock()
		// A size never shrinks, so that a size that was read under mu stays valid without it.
		s.size, s.next, s.newest = c.size, c.next, c.newest
		if c.fresh {
			c.part.segments = append(c.part.segments, s)
		}
		c.part.end = c.next
	}
	b.wake()
}

// Abort implements topic.Txn. Aborting an ended transaction is not an error.
func (t *txn) Abort(ctx context.Context) error {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.done = true
	if t.b.writers[t.id] == t {
		delete(t.b.writers, t.id)
	}
	t.parts = nil
	if t.kept != nil {
		kept := t.kept
		t.kept = nil
		return kept.Close()
	}
	return nil
}
