package op

import (
	"bytes"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// topN holds the first n of the rows so far, and up to about n more candidates. When there are
// enough candidates, the buffer is cut to n rows. From then on a row that does not precede the n-th
// costs one comparison. A row equal to the n-th follows it, because equal rows keep their order.
type topN struct {
	sortBuffer
	last []byte // the key of the n-th row at the last cut; nil: fewer rows were held
	kept int64  // the memory after the last cut, in bytes
	key  []byte
}

// cutRows and cutBytes are the slack of the buffer beyond twice the first n rows.
const (
	cutRows  = 1024
	cutBytes = 4 << 20
)

// Process implements exec.Operator.
func (t *topN) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	before := t.account.Used()
	cols, err := t.columns(in)
	if err != nil {
		return err
	}
	run := sortRun{}
	var rows []int32
	for row := range in.Rows() {
		t.key = t.appendKey(t.key[:0], cols, row)
		if t.last != nil && bytes.Compare(t.key, t.last) >= 0 {
			continue
		}
		rows = append(rows, int32(row))
		run.keys = append(run.keys, t.key...)
		run.ends = append(run.ends, len(run.keys))
	}
	t.account.Settle(before, 0)
	if !t.account.Work(int64(in.Rows())) {
		return t.account.Err()
	}
	if len(rows) == 0 {
		return nil
	}
	if err := t.hold(t.choose(run, rows, in)); err != nil {
		return err
	}
	if n := 2*int(t.First) + cutRows; t.rows > n || t.bytes > 2*t.kept+cutBytes && int64(t.rows) > t.First {
		return t.cut()
	}
	return nil
}

// choose makes a run of the candidates in a batch. Of more than n candidates it keeps the first n.
func (t *topN) choose(run sortRun, rows []int32, in *flow.Batch) sortRun {
	if int64(len(rows)) <= t.First {
		run.Batch = copied(in, rows)
		return run
	}
	index := make([]int32, len(rows))
	for i := range index {
		index[i] = int32(i)
	}
	slices.SortStableFunc(index, func(x, y int32) int { return bytes.Compare(run.key(int(x)), run.key(int(y))) })
	index = index[:t.First]
	slices.Sort(index)
	out, taken := sortRun{}, make([]int32, len(index))
	for i, x := range index {
		taken[i] = rows[x]
		out.keys = append(out.keys, run.key(int(x))...)
		out.ends = append(out.ends, len(out.keys))
	}
	out.Batch = copied(in, taken)
	return out
}

// copied copies rows out of a batch, so that they do not retain the memory of a larger batch.
func copied(in *flow.Batch, rows []int32) *flow.Batch {
	if len(rows) == in.Rows() {
		return in
	}
	return in.Take(rows)
}

// cut drops all rows after the first n and leaves those in one sorted run.
func (t *topN) cut() error {
	rows := t.order()
	rows = rows[:min(int64(len(rows)), t.First)]
	run := sortRun{Batch: t.gather(rows)}
	for _, p := range rows {
		run.keys = append(run.keys, t.runs[p.run].key(int(p.row))...)
		run.ends = append(run.ends, len(run.keys))
	}
	if int64(len(rows)) == t.First {
		t.last = bytes.Clone(run.key(len(rows) - 1))
	}
	t.account.Release(t.bytes)
	t.runs, t.rows, t.bytes = nil, 0, 0
	err := t.hold(run)
	t.kept = t.bytes
	return err
}

// Finish implements exec.Finisher. It emits the first n rows.
func (t *topN) Finish(emit exec.Emit) error {
	if t.rows == 0 {
		return nil
	}
	if err := t.cut(); err != nil {
		return err
	}
	return emit(t.runs[0].Batch)
}
