package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/streamql/streamql/topic"
)

// Log is the position of a task's stored state in its changelog: the state is the result of the
// records before Next and of no others. Cluster and Topic are the ids of the changelog's
// cluster and topic; Wall is the time of the last change, ms since the epoch. The zero Log is a
// store without a changelog.
type Log struct {
	Cluster, Topic string
	Next           topic.Offset
	Wall           int64
}

// The formats of a stored Log.
const (
	keyLog    = 0x02
	logFormat = 1
)

// encode returns the stored form.
func (l Log) encode() []byte {
	b := []byte{logFormat}
	for _, s := range []string{l.Cluster, l.Topic} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(l.Next))
	return binary.AppendUvarint(b, uint64(l.Wall))
}

// decodeLog decodes the result of encode.
func decodeLog(b []byte) (Log, error) {
	if len(b) == 0 {
		return Log{}, errors.New("the stored changelog position is empty")
	}
	if b[0] != logFormat {
		return Log{}, fmt.Errorf(
			"the stored changelog position has format %d, but this version supports format %d",
			b[0],
			logFormat,
		)
	}
	r := reader{b: b[1:]}
	l := Log{Cluster: string(r.take(r.uvarint())), Topic: string(r.take(r.uvarint()))}
	l.Next, l.Wall = topic.Offset(r.uvarint()), int64(r.uvarint())
	if r.bad || len(r.b) != 0 || l.Next < 0 {
		return Log{}, errors.New("the stored changelog position is malformed")
	}
	return l, nil
}

// Replay applies changelog records to the stored state of a task while no Store of the task is
// open. The records are those of Store.Pending without the store's prefix; the last record of
// each transaction is the position. One goroutine uses a Replay.
type Replay struct {
	db     *pebble.DB
	prefix []byte
	batch  *pebble.Batch // records of an incomplete transaction
	key    []byte        // scratch space
	log    Log
	seq    uint64
}

// NewReplay opens the stored state of a task.
func NewReplay(db *pebble.DB, task string) (*Replay, error) {
	r := &Replay{db: db, prefix: appendText([]byte{keyState}, []byte(task))}
	return r, r.load()
}

// load reads the position of the stored state.
func (r *Replay) load() error {
	get := func(kind byte, use func([]byte) error) error {
		val, closer, err := r.db.Get(append(slices.Clone(r.prefix), kind))
		if err == pebble.ErrNotFound {
			return nil
		}
		if err != nil {
			return fmt.Errorf("state: read: %w", err)
		}
		return errors.Join(use(val), closer.Close())
	}
	r.log, r.seq = Log{}, 0
	return errors.Join(get(keyLog, func(b []byte) (err error) { r.log, err = decodeLog(b); return err }),
		get(keyPosition, func(b []byte) (err error) { r.seq, _, err = decodePosition(b); return err }))
}

// Log returns the changelog position of the stored state.
func (r *Replay) Log() Log { return r.log }

// Clear deletes all stored state of the task.
func (r *Replay) Clear() (err error) {
	defer recovered(&err)
	r.drop()
	b := r.db.NewBatch()
	if err := b.DeleteRange(r.prefix, successor(r.prefix), nil); err != nil {
		return err
	}
	r.log, r.seq = Log{}, 0
	return b.Commit(pebble.NoSync)
}

// ErrFormat reports stored state or a changelog record that is invalid or was written by a
// newer version of the program.
var ErrFormat = errors.New("the state cannot be read")

// Put adds one record of the changelog. A position record ends a transaction: all its records
// are then applied in one batch, together with at, whose Next is the offset after the record.
func (r *Replay) Put(rec topic.Record, at Log) (err error) {
	defer recovered(&err)
	if len(rec.Key) == 0 || rec.Key[0] != keySpace && !r.isPosition(rec.Key) {
		return fmt.Errorf("%w: a changelog record has the key %x", ErrFormat, rec.Key)
	}
	if r.batch == nil {
		r.batch = r.db.NewBatch()
	}
	r.key = append(append(r.key[:0], r.prefix...), rec.Key...) // the batch copies the key
	if rec.Value == nil {
		return r.batch.Delete(r.key, nil)
	}
	if err := r.batch.Set(r.key, rec.Value, nil); err != nil || !r.isPosition(rec.Key) {
		return err
	}
	seq, _, err := decodePosition(rec.Value)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := r.batch.Set(append(slices.Clone(r.prefix), keyLog), at.encode(), nil); err != nil {
		return err
	}
	// The changes, the task's position and the changelog position are in one batch: after a crash
	// the stored state belongs to a position in the changelog.
	b := r.batch
	r.batch = nil
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("state: apply: %w", err)
	}
	r.log, r.seq = at, seq
	return nil
}

// isPosition reports whether key is the key of a position record.
func (r *Replay) isPosition(key []byte) bool { return len(key) == 1 && key[0] == keyPosition }

// drop discards the records of an incomplete transaction.
// A transaction whose position record has not been read yet has changed nothing in the database.
func (r *Replay) drop() {
	if r.batch != nil {
		_ = r.batch.Close()
		r.batch = nil
	}
}

// Close discards an incomplete transaction.
func (r *Replay) Close() { r.drop() }

// Log implements Store.
func (s *store) Log() Log { return s.log }

// Seq implements Store.
func (s *store) Seq() uint64 { return s.seq }

// Logged implements Store.
func (s *store) Logged() []topic.Record {
	if !s.pending || s.db == nil {
		return nil
	}
	out := make([]topic.Record, len(s.sealed))
	for i, r := range s.sealed {
		out[i] = topic.Record{Key: r.Key[len(s.prefix):], Value: r.Value}
	}
	return out
}

// CommitLog implements Store.
func (s *store) CommitLog(at Log) error {
	if s.db != nil && s.pending {
		s.sealed = append(s.sealed, topic.Record{Key: append(slices.Clone(s.prefix), keyLog), Value: at.encode()})
	}
	if err := s.Commit(false); err != nil {
		return err
	}
	s.log = at
	return nil
}
