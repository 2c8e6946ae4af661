package op

import (
	"encoding/binary"
	"errors"

	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/udf/ml"
)

// trainWindow trains a version from each closed window. The keyspace stores the rows of open
// windows, by window and arrival.
type trainWindow struct {
	*trainer
	rows   state.Keyspace
	seq    uint64
	loaded bool
	oldest int64
	key    []byte
	value  []byte
}

var seqKey = []byte{0xff}

func (t *trainWindow) load() error {
	if t.loaded {
		return nil
	}
	t.loaded = true
	v, ok, err := t.rows.Get(seqKey)
	if ok && err == nil {
		t.seq = binary.BigEndian.Uint64(v)
	}
	return err
}

// Process implements exec.Operator.
func (t *trainWindow) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	if err := t.load(); err != nil {
		return err
	}
	p, err := t.part(in)
	if err != nil {
		return err
	}
	times, clock := in.Times(), in.Column(in.Schema.Clock).(*array.Int64).Int64Values()
	late := int64(0)
	for i := range p.rows {
		start := times[i] - mod(times[i], t.Window.Size)
		if start+t.Window.Size+t.Window.Grace <= clock[i] {
			late++
			continue
		}
		if t.oldest != unknown {
			t.oldest = min(t.oldest, start)
		}
		t.seq++
		t.key = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(t.key[:0], 0), uint64(start)^1<<63),
			t.seq)
		t.value = state.AppendRow(t.value[:0], p.cols, i)
		if err := t.rows.Put(t.key, t.value); err != nil {
			return err
		}
	}
	if late > 0 {
		t.ctx.Late(late)
	}
	return t.rows.Put(seqKey, binary.BigEndian.AppendUint64(nil, t.seq))
}

// Advance implements exec.Timed. It trains from the windows that have closed, the oldest first.
func (t *trainWindow) Advance(now flow.Time, _ exec.Emit) error {
	if t.oldest != unknown && t.oldest+t.Window.Size+t.Window.Grace > int64(now) {
		return nil
	}
	return t.close(int64(now))
}

// Finish implements exec.Finisher. It trains from the windows that are still open, because the end
// of the input closes them.
func (t *trainWindow) Finish(exec.Emit) error { return t.close(1<<62 - 1) }

func (t *trainWindow) close(now int64) error {
	for {
		start, found := int64(0), false
		for e, err := range t.rows.Scan([]byte{0}, []byte{1}) {
			if err != nil {
				return err
			}
			start, found = int64(binary.BigEndian.Uint64(e.Key[1:])^1<<63), true
			break
		}
		t.oldest = start
		if !found {
			t.oldest = 1<<62 - 1
			return nil
		}
		if start+t.Window.Size+t.Window.Grace > now {
			return nil
		}
		if err := t.window(start); err != nil {
			return err
		}
	}
}

// window trains from the rows of one window and deletes them.
func (t *trainWindow) window(start int64) error {
	from := binary.BigEndian.AppendUint64([]byte{0}, uint64(start)^1<<63)
	to := binary.BigEndian.AppendUint64([]byte{0}, uint64(start+1)^1<<63)
	types := t.types()
	builders := make([]array.Builder, len(types))
	for i, typ := range types {
		builders[i] = flow.Builder(typ)
	}
	n := 0
	for e, err := range t.rows.Scan(from, to) {
		if err != nil {
			return err
		}
		if _, err := state.DecodeRow(e.Val, builders); err != nil {
			return err
		}
		n++
		if err := t.rows.Delete(append([]byte(nil), e.Key...)); err != nil {
			return err
		}
	}
	p := part{rows: n, from: start, to: start + t.Window.Size - 1}
	for _, b := range builders {
		p.cols = append(p.cols, b.NewArray())
	}
	s := newSample(t.Options)
	s.add(p)
	metrics, err := t.before(p)
	if err != nil {
		return err
	}
	v, err := t.learn(s, t.Mode != ml.Window)
	if errors.Is(err, ml.ErrNoRows) {
		t.ctx.Fail(exec.Failure{Code: "SQ6201", Err: err, Source: t.Model, Side: "row"})
		return nil
	}
	if err != nil {
		return err
	}
	v.Manifest.Window = []int64{start, start + t.Window.Size}
	return t.publish(v, "prequential", metrics)
}

// before evaluates the newest version on a window that it was not trained from.
func (t *trainWindow) before(p part) ([]ml.Metric, error) {
	if !t.Evaluate || t.Target < 0 {
		return nil, nil
	}
	last, _, err := t.ctx.Models.Version(t.Model, 0, t.Source.Accepts, false)
	if err != nil || last == nil {
		return nil, err
	}
	ev := t.evaluator()
	b := last.(*ml.Bundle)
	err = NewEvaluation(b, ev).Add(Spread(p.cols[:len(t.Features)], t.Names, b), t.targets(p))
	if err != nil {
		return nil, err
	}
	return ev.Metrics(), nil
}
