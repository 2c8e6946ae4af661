package op

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

var nan = math.NaN()

func numberAt(col arrow.Array, i int) float64 {
	return expr.Float64(flow.Value(col, i), col.DataType())
}

// choose returns the rows of a part that may be learned as far as target and weight are concerned,
// and the weights.
func (t *trainer) choose(p part) (use []bool, w []float64, err error) {
	use = make([]bool, p.rows)
	for i := range use {
		use[i] = true
	}
	if t.Weight >= 0 {
		w = make([]float64, p.rows)
		for i := range w {
			if w[i], use[i] = t.weight(p, i); !use[i] {
				w[i] = 0
			}
		}
	}
	if !t.typ.Task.Supervised() {
		return use, w, nil
	}
	col := t.targets(p)
	var codes []int32
	if t.typ.Task == ml.Classify && t.Options.Has("classes") {
		codes = make([]int32, p.rows)
		if err := t.levels().Codes(col, codes); err != nil {
			return nil, nil, err
		}
	}
	for i := range use {
		switch {
		case col.IsNull(i) || codes != nil && codes[i] < 0:
			use[i] = false
		case t.typ.Task == ml.Regress:
			use[i] = use[i] && math.Abs(numberAt(col, i)) < ml.Limit
		}
	}
	return use, w, nil
}

// weight returns the weight of a row, and whether a row of this weight can be learned.
func (t *trainer) weight(p part, i int) (float64, bool) {
	col := p.cols[t.weightAt()].(*array.Float64)
	w := col.Value(i)
	return w, col.IsValid(i) && w >= 0 && w < ml.Limit
}

// targets returns the column of the target.
func (t *trainer) targets(p part) arrow.Array { return p.cols[len(t.Features)] }

// weightAt returns the index of the weight's column in a part.
func (t *trainer) weightAt() int {
	if t.Target >= 0 {
		return len(t.Features) + 1
	}
	return len(t.Features)
}

// target returns the target: class numbers for classifiers, values for regressors, 0 or 1 for the
// evaluation of anomaly models. NaN is a missing target. Only rows that are learned add classes.
func (t *trainer) target(p part, levels *ml.Levels, learned []bool) ([]float64, error) {
	if t.Target < 0 {
		return nil, nil
	}
	col := t.targets(p)
	y := make([]float64, p.rows)
	if t.typ.Task != ml.Classify {
		for i := range y {
			if y[i] = numberAt(col, i); t.typ.Task != ml.Regress {
				y[i] = anomalous(col, i)
			}
		}
		return y, nil
	}
	codes := make([]int32, p.rows)
	if err := levels.Codes(col, codes); err != nil {
		return nil, err
	}
	if slices.Contains(codes, -1) && !t.Options.Has("classes") {
		for i, c := range codes {
			if c != -1 || !learned[i] {
				continue
			}
			// A class name is stored in the JSON head of a version, so it must be valid UTF-8.
			if name := ml.Level(col, i); utf8.ValidString(name) {
				codes[i] = levels.Add(strings.Clone(name))
			}
		}
	}
	for i, c := range codes {
		if y[i] = float64(c); c < 0 {
			y[i], learned[i] = nan, false
		}
	}
	return y, nil
}

// levels returns the classes that are known before the first row.
func (t *trainer) levels() *ml.Levels {
	l := ml.NewLevels()
	for _, c := range t.Options.List("classes") {
		l.Add(fmt.Sprint(c))
	}
	if typ := t.TargetColumn.Type; len(l.Names) == 0 && typ != nil && typ.ID() == arrow.BOOL {
		l.Add("false")
		l.Add("true")
	}
	return l
}

// skip counts the rows of a part that are not learned, each with its reason and place. prep and the
// trainer's buffers have prepared the part.
func (t *trainer) skip(p part, learned []bool, prep *ml.Preparation) {
	for i, ok := range learned {
		if ok {
			continue
		}
		f := exec.Failure{Code: "SQ6101", Source: t.Model, Side: "row"}
		f.Code, f.Err = t.fault(p, i, prep)
		if t.first == nil {
			t.first = f.Err
		}
		if at := len(t.types()) - len(t.Place); len(t.Place) == 2 {
			placed(&f, t.ctx, p.cols[at], p.cols[at+1], i)
		}
		t.ctx.Fail(f)
	}
}

// placed sets the partition and offset of a failed row, and the topic if the task reads only one.
func placed(f *exec.Failure, ctx *exec.Context, partition, offset arrow.Array, row int) {
	f.Partition = topic.Partition{Topic: onlyTopic(ctx), ID: partition.(*array.Int32).Value(row)}
	f.Offset = topic.Offset(offset.(*array.Int64).Value(row))
}

func onlyTopic(ctx *exec.Context) string {
	name := ""
	for i, s := range ctx.Spans() {
		if i > 0 && s.Topic != name {
			return ""
		}
		name = s.Topic
	}
	return name
}

// fault returns the reason for which a row of a part is not learned.
func (t *trainer) fault(p part, i int, prep *ml.Preparation) (code string, err error) {
	if t.Weight >= 0 {
		if _, ok := t.weight(p, i); !ok {
			return "SQ6101", errors.New("a row is not learned: its WEIGHT is not a number from 0 to 1e20")
		}
	}
	if t.typ.Task.Supervised() {
		switch col := t.targets(p); {
		case col.IsNull(i):
			return "SQ6101", fmt.Errorf("a row is not learned: target %s is missing", t.TargetColumn.Name)
		case t.typ.Task == ml.Regress && !(math.Abs(numberAt(col, i)) < ml.Limit):
			return "SQ6101", fmt.Errorf("a row is not learned: target %s is not a number below 1e20", t.TargetColumn.Name)
		case t.typ.Task == ml.Classify && t.Options.Has("classes") && t.levels().Find(ml.Level(col, i)) < 0:
			return "SQ6102", fmt.Errorf("a row is not learned: target %s: %w", t.TargetColumn.Name, ml.ErrClasses)
		}
	}
	if err := misfit(p.cols, t.widths, t.Names, i); err != nil {
		return "SQ6103", fmt.Errorf("a row is not learned: %w", err)
	}
	return "SQ6101", fmt.Errorf("a row is not learned: %s", prep.Why(&t.buf, i, true))
}
