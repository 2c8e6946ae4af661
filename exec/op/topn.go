package op

import (
	"bytes"
	"slices"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
)

// topN holds the first n rows of those that have come, and up to about as many more that may still be among them: when there are enough
// of these, the buffer is cut to n. From then on a row that is not before the n-th is passed over at the price of a comparison. A row
// equal to the n-th comes after it, because equal rows keep their order.
type topN struct {
	sortBuffer
	last []byte // the key of the n-th row at the last cut; nil: there were fewer
	kept int64  // bytes after the last cut
	key  []byte
}

// cutRows and cutBytes are how much more than twice what is wanted the buffer may hold.
const (
	cutRows  = 1024
	cutBytes = 4 << 20
)

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

// choose makes a run of the candidates among a batch's rows: of more than n of them the first n.
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

// copied takes rows out of a batch that may be much larger, whose memory must not live on with them.
func copied(in *flow.Batch, rows []int32) *flow.Batch {
	if len(rows) == in.Rows() {
		return in
	}
	return in.Take(rows)
}

// cut drops all rows but the first n, in one run and in order.
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

// Finish emits the first n rows.
func (t *topN) Finish(emit exec.Emit) error {
	if t.rows == 0 {
		return nil
	}
	if err := t.cut(); err != nil {
		return err
	}
	return emit(t.runs[0].Batch)
}
