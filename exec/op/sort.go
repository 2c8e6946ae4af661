package op

import (
	"bytes"
	"slices"
	"strings"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/state"
)

// SortKey is one item of ORDER BY. NULL comes last, first if Desc, as in PostgreSQL.
type SortKey struct {
	Expr expr.Expr
	Desc bool
}

// Sort orders all rows of a bounded input. Equal rows keep their order.
type Sort struct {
	Input exec.Node
	Keys  []SortKey
}

func (s *Sort) Schema() *flow.Schema { return s.Input.Schema() }
func (s *Sort) Inputs() []exec.Node  { return []exec.Node{s.Input} }
func (s *Sort) String() string {
	parts := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		parts[i] = k.Expr.String()
		if k.Desc {
			parts[i] += " DESC"
		}
	}
	return "Sort " + strings.Join(parts, ", ")
}
func (s *Sort) Open(ctx *exec.Context) (exec.Operator, error) {
	return &sorter{Sort: s, fail: ctx.RowFailed("ORDER BY")}, nil
}

type sorter struct {
	*Sort
	fail    func(int, error)
	batches []*flow.Batch
	keys    [][]byte // of each row, as bytes that compare like the items
}

func (s *sorter) Process(_ int, in *flow.Batch, _ exec.Emit) error {
	first := len(s.keys)
	for range in.Rows() {
		s.keys = append(s.keys, nil)
	}
	for _, k := range s.Keys {
		col := k.Expr.Eval(in, s.fail)
		for i := range in.Rows() {
			key := s.keys[first+i]
			from := len(key)
			if col.IsNull(i) {
				key = append(key, 1)
			} else {
				key = append(key, 0)
			}
			key = state.AppendKey(key, col, i)
			if k.Desc {
				for j := from; j < len(key); j++ {
					key[j] = ^key[j]
				}
			}
			s.keys[first+i] = key
		}
	}
	s.batches = append(s.batches, in)
	return nil
}

func (s *sorter) Finish(emit exec.Emit) error {
	if len(s.batches) == 0 {
		return nil
	}
	rows := make([]int32, len(s.keys))
	for i := range rows {
		rows[i] = int32(i)
	}
	slices.SortStableFunc(rows, func(a, b int32) int { return bytes.Compare(s.keys[a], s.keys[b]) })
	return emit(flow.ConcatBatches(s.batches).Take(rows))
}
