package op

import (
	"math"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/topic"
)

// Bounds limits the records that a scan reads. No row beyond them passes the scan's filters. A zero
// field does not limit the scan.
type Bounds struct {
	Partition *int32
	From, To  *topic.Offset // in every partition; To is exclusive
	Since     *int64        // ms: records before the first one of this time are older
}

// Seek implements Seeker. It uses a bound on ROWTIME only if that is the record's timestamp, by
// which brokers find offsets.
func (s *Scan) Seek(terms []expr.Expr) exec.Node {
	out := *s
	for _, t := range terms {
		column, op, value, ok := compared(t)
		if !ok {
			continue
		}
		at := s.Out.Position(column)
		n, isLong := value.Value.(int64)
		switch from := s.Columns[at].From; {
		case from == FromPartition && op == expr.Equal:
			if id, ok := value.Value.(int32); ok {
				out.Bounds.Partition = &id
			}
		case from == FromOffset && isLong:
			out.Bounds.offsets(op, topic.Offset(n))
		case from == FromTime && isLong && s.Time == nil && op&expr.Less == 0 && op != expr.NotEqual:
			if out.Bounds.Since == nil || n > *out.Bounds.Since {
				out.Bounds.Since = &n
			}
		}
	}
	return &out
}

// offsets narrows the bounds to the offsets for which the comparison with n is true.
func (b *Bounds) offsets(op expr.CompareOp, n topic.Offset) {
	raise := func(to topic.Offset) {
		if b.From == nil || to > *b.From {
			b.From = &to
		}
	}
	lower := func(to topic.Offset) {
		if b.To == nil || to < *b.To {
			b.To = &to
		}
	}
	if n < 0 || n == math.MaxInt64 {
		return
	}
	switch op {
	case expr.Equal:
		raise(n)
		lower(n + 1)
	case expr.Greater:
		raise(n + 1)
	case expr.GreaterOrEqual:
		raise(n)
	case expr.Less:
		lower(n)
	case expr.LessOrEqual:
		lower(n + 1)
	}
}
