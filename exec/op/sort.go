package op

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/udf"
)

// SortKey is one item of ORDER BY. NULL sorts last, or first with Desc, as in PostgreSQL.
type SortKey struct {
	Expr expr.Expr
	Desc bool
}

// Sort sorts all rows of a bounded input. Equal rows keep their order. With First it emits only
// that many rows and holds at most about twice as many.
type Sort struct {
	Input exec.Node
	Keys  []SortKey
	First int64 // 0: all rows
}

// Schema implements exec.Node.
func (s *Sort) Schema() *flow.Schema { return s.Input.Schema() }

// Inputs implements exec.Node.
func (s *Sort) Inputs() []exec.Node { return []exec.Node{s.Input} }

// Rewire implements exec.Node.
func (s *Sort) Rewire(in []exec.Node, move exec.Move) exec.Node {
	out := &Sort{Input: in[0], Keys: slices.Clone(s.Keys), First: s.First}
	for i, k := range s.Keys {
		out.Keys[i].Expr = Rewire(k.Expr, 0, move)
	}
	return out
}

// Under implements Sieve. With First a filter does not commute, because the first rows depend on
// it.
func (s *Sort) Under(p expr.Expr) ([]expr.Expr, bool) { return []expr.Expr{p}, s.First == 0 }

// String implements exec.Node.
func (s *Sort) String() string {
	parts := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		parts[i] = k.Expr.String()
		if k.Desc {
			parts[i] += " DESC"
		}
	}
	text := "Sort " + strings.Join(parts, ", ")
	if s.First > 0 {
		text += fmt.Sprintf(" first %d", s.First)
	}
	return text
}

// Open implements exec.Node.
func (s *Sort) Open(ctx *exec.Context) (exec.Operator, error) {
	b := sortBuffer{Sort: s, env: ctx.Evaluation("ORDER BY"), account: ctx.Account}
	if s.First > 0 {
		return &topN{sortBuffer: b}, nil
	}
	return &sorter{sortBuffer: b}, nil
}

// sortBuffer holds rows with their keys: bytes that compare like the items of ORDER BY.
type sortBuffer struct {
	*Sort
	env     udf.Env
	account *flow.Account
	runs    []sortRun
	rows    int
	bytes   int64 // the memory of all runs, as charged to the account
}

// sortRun is a batch and the key of each of its rows.
type sortRun struct {
	*flow.Batch
	keys []byte
	ends []int // the end of each key
}

func (r *sortRun) key(row int) []byte {
	from := 0
	if row > 0 {
		from = r.ends[row-1]
	}
	return r.keys[from:r.ends[row]]
}

func (r *sortRun) size() int64 { return r.Batch.Size() + int64(cap(r.keys)) + 8*int64(cap(r.ends)) }

// place is the position of a row in the buffer.
type place struct{ run, row int32 }

func (b *sortBuffer) compare(x, y place) int {
	return bytes.Compare(b.runs[x.run].key(int(x.row)), b.runs[y.run].key(int(y.row)))
}

// columns evaluates the items of ORDER BY.
func (b *sortBuffer) columns(in *flow.Batch) ([]arrow.Array, error) {
	cols := make([]arrow.Array, len(b.Keys))
	for i, k := range b.Keys {
		cols[i] = expr.Eval(k.Expr, in, b.env)
	}
	return cols, b.account.Err()
}

// appendKey appends the key of a row.
func (b *sortBuffer) appendKey(key []byte, cols []arrow.Array, row int) []byte {
	for i, k := range b.Keys {
		from := len(key)
		if cols[i].IsNull(row) {
			key = append(key, 1)
		} else {
			key = append(key, 0)
		}
		key = state.AppendKey(key, cols[i], row)
		if k.Desc {
			for j := from; j < len(key); j++ {
				key[j] = ^key[j]
			}
		}
	}
	return key
}

// hold adds a run.
func (b *sortBuffer) hold(r sortRun) error {
	b.runs = append(b.runs, r)
	b.rows += r.Rows()
	b.bytes += r.size()
	b.account.Grow(r.size())
	return b.account.Err()
}

// order returns the positions of all rows in order. Equal rows keep their order.
func (b *sortBuffer) order() []place {
	all := make([]place, 0, b.rows)
	for i, r := range b.runs {
		for row := range r.Rows() {
			all = append(all, place{int32(i), int32(row)})
		}
	}
	slices.SortStableFunc(all, b.compare)
	return all
}

// gather makes a batch of rows. It takes the rows of each run together and then reorders them.
func (b *sortBuffer) gather(rows []place) *flow.Batch {
	index := make([]int32, len(rows))
	for i := range index {
		index[i] = int32(i)
	}
	slices.SortStableFunc(index, func(x, y int32) int { return int(rows[x].run - rows[y].run) })
	var parts []*flow.Batch
	var taken []int32
	at := make([]int32, len(rows)) // the position of each row among the parts
	for i, x := range index {
		at[x] = int32(i)
		taken = append(taken, rows[x].row)
		if i+1 == len(index) || rows[index[i+1]].run != rows[x].run {
			parts = append(parts, b.runs[rows[x].run].Take(taken))
			taken = taken[:0]
		}
	}
	return flow.ConcatBatches(parts).Take(at)
}

// sorter holds all rows.
type sorter struct {
	sortBuffer
	small     []*flow.Batch // small batches that will be joined to one run
	smallRows int
}

// Process implements exec.Operator.
func (s *sorter) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	if len(s.small) == 0 && in.Rows() >= pieceRows/2 {
		return s.take(in)
	}
	s.small, s.smallRows = append(s.small, in), s.smallRows+in.Rows()
	s.account.Grow(in.Size())
	if s.smallRows < pieceRows {
		return s.account.Err()
	}
	return s.join()
}

// join makes one run of the small batches.
func (s *sorter) join() error {
	if len(s.small) == 0 {
		return nil
	}
	for _, b := range s.small {
		s.account.Release(b.Size())
	}
	in := flow.ConcatBatches(s.small)
	s.small, s.smallRows = nil, 0
	return s.take(in)
}

// take makes a run of a batch.
func (s *sorter) take(in *flow.Batch) error {
	before := s.account.Used()
	cols, err := s.columns(in)
	if err != nil {
		return err
	}
	run := sortRun{Batch: in, ends: make([]int, in.Rows())}
	for row := range in.Rows() {
		run.keys = s.appendKey(run.keys, cols, row)
		run.ends[row] = len(run.keys)
	}
	s.account.Settle(before, 0)
	return s.hold(run)
}

// Finish implements exec.Finisher. It emits the rows in batches, so that memory does not hold two
// copies of all rows.
func (s *sorter) Finish(emit exec.Emit) error {
	if err := s.join(); err != nil {
		return err
	}
	s.account.Grow(8 * int64(s.rows))
	if err := s.account.Err(); err != nil {
		return err
	}
	rows := s.order()
	for len(rows) > 0 {
		n := min(len(rows), pieceRows)
		before := s.account.Used()
		out := s.gather(rows[:n])
		s.account.Grow(out.Size())
		if err := pass(s.account, before, out, emit); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
