package ml

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// Scoring is one user's working memory for a bundle. After Read of a batch, its functions share
// the prepared features and the prediction. A row with a missing feature, or whose result would
// not be finite, is NULL everywhere.
type Scoring struct {
	*Bundle
	buf      Buffers
	x        Matrix
	ok       []bool
	out      []float64
	dist     []float64
	proba    Matrix
	parts    Matrix
	done     bool // out is filled
	assigned bool // out and dist are filled, for types that Assign
}

// NewScoring returns working memory for the bundle.
func (b *Bundle) NewScoring() *Scoring { return &Scoring{Bundle: b} }

// Read prepares rows of input columns, in the order of Inputs.
func (s *Scoring) Read(cols []arrow.Array, rows int) error {
	x, ok, err := s.Preparation.Transform(cols, rows, &s.buf)
	if err != nil {
		return err
	}
	s.x, s.ok, s.done, s.assigned = x, ok, false, false
	s.out = reuse(s.out, rows)
	for c := range x.Cols { // rows without a valid value are 0: NaN and infinity would slow the kernels or spread to other rows
		for r, good := range ok {
			if !good {
				x.Cols[c][r] = 0
			}
		}
	}
	return nil
}

// Missing is the number of rows read that have NULL for a missing feature.
func (s *Scoring) Missing() int {
	n := 0
	for _, ok := range s.ok {
		if !ok {
			n++
		}
	}
	return n
}

// Why returns the reason for which row r has no prediction. ok: it has one.
func (s *Scoring) Why(r int) (why string, ok bool) {
	if s.ok[r] {
		return "", true
	}
	return s.Preparation.Why(&s.buf, r, false), false
}

// task returns the meaning of the type's predictions.
func (b *Bundle) task() Task {
	t, err := Lookup(b.Spec.Type)
	if err != nil {
		return ""
	}
	return t.Task
}

// Raw returns the prediction of the model (class number, value, score, cluster) and which rows
// have one; both are valid until the next Read.
func (s *Scoring) Raw() ([]float64, []bool, error) {
	if !s.done {
		if err := s.Model.Predict(s.x, s.out); err != nil {
			return nil, nil, err
		}
		onlyFinite(s.out, s.ok)
		s.done = true
	}
	return s.out, s.ok, nil
}

// PredictType returns the type of PREDICT: the type of the target for classifiers, INT for
// clusters, else DOUBLE.
func (b *Bundle) PredictType() flow.Type {
	switch b.task() {
	case Classify:
		return b.Target.Type
	case Cluster:
		return flow.Int
	}
	return flow.Double
}

// Predict is the prediction in the type of the target.
func (s *Scoring) Predict() (arrow.Array, error) {
	out, ok, err := s.Raw()
	if err != nil {
		return nil, err
	}
	switch s.task() {
	case Classify:
		return s.classes(out, ok)
	case Cluster:
		return s.Cluster()
	}
	return doubles(out, ok), nil
}

func doubles(v []float64, ok []bool) arrow.Array {
	return flow.Fixed(flow.Double, slices.Clone(v), arrow.Float64Traits.CastToBytes, validity(ok))
}

func validity(ok []bool) flow.Validity {
	v := flow.Valid(len(ok))
	for r, good := range ok {
		if !good {
			v.Clear(r)
		}
	}
	return v
}

// classes writes class numbers as values of the target's type; one without a name is NULL.
func (s *Scoring) classes(out []float64, ok []bool) (arrow.Array, error) {
	b := flow.Builder(s.Target.Type)
	b.Reserve(len(out))
	values := make([]any, len(s.Classes))
	for k, name := range s.Classes {
		v, err := parseLevel(name, s.Target.Type)
		if err != nil {
			return nil, err
		}
		values[k] = v
	}
	if text, is := b.(*array.StringBuilder); is {
		for r, k := range out {
			if ok[r] && k >= 0 && k < float64(len(s.Classes)) {
				text.Append(s.Classes[int(k)])
			} else {
				text.AppendNull()
			}
		}
		return b.NewArray(), nil
	}
	for r, k := range out {
		if ok[r] && k >= 0 && k < float64(len(values)) {
			flow.Append(b, values[int(k)])
		} else {
			b.AppendNull()
		}
	}
	return b.NewArray(), nil
}

// parseLevel parses the result of Level.
func parseLevel(name string, t flow.Type) (any, error) {
	var v any
	var err error
	switch t.ID() {
	case arrow.STRING:
		return name, nil
	case arrow.BOOL:
		v, err = strconv.ParseBool(name)
	case arrow.INT32:
		var i int64
		i, err = strconv.ParseInt(name, 10, 32)
		v = int32(i)
	case arrow.INT64:
		v, err = strconv.ParseInt(name, 10, 64)
	case arrow.FLOAT64:
		v, err = strconv.ParseFloat(name, 64)
	default:
		err = fmt.Errorf("a class cannot be of type %s", flow.TypeName(t))
	}
	if err != nil {
		return nil, fmt.Errorf("class %q: %w", name, err)
	}
	return v, nil
}

// RawProba is the probability of each class by column; a type without it has no columns. Valid
// until the next Read.
func (s *Scoring) RawProba() (Matrix, error) {
	m, is := s.Model.(Prober)
	if !is || s.task() != Classify {
		return Matrix{Rows: s.x.Rows}, nil
	}
	s.proba = Matrix{s.x.Rows, reuseAll(s.proba.Cols, len(s.Classes), s.x.Rows)[:len(s.Classes)]}
	return s.proba, m.Proba(s.x, s.proba)
}

// Proba returns a MAP<STRING, DOUBLE> from class to probability. If the type of the model predicts no
// probabilities, the error is ErrCannot.
func (s *Scoring) Proba() (arrow.Array, error) {
	if _, _, err := s.Raw(); err != nil {
		return nil, err
	}
	proba, err := s.RawProba()
	if err != nil {
		return nil, err
	}
	if len(proba.Cols) == 0 {
		return nil, ErrCannot
	}
	b := flow.Builder(flow.Map(flow.String, flow.Double)).(*array.MapBuilder)
	names, values := b.KeyBuilder().(*array.StringBuilder), b.ItemBuilder().(*array.Float64Builder)
	for r := range s.x.Rows {
		if !s.ok[r] {
			b.AppendNull()
			continue
		}
		b.Append(true)
		for k, name := range s.Classes {
			names.Append(name)
			values.Append(proba.Cols[k][r])
		}
	}
	return b.NewArray(), nil
}

// scores is the anomaly score: the prediction of anomaly types, the distance to the nearest
// centre of clusters.
func (s *Scoring) scores() ([]float64, []bool, error) {
	if s.task() == Anomaly {
		return s.Raw()
	}
	m, is := s.Model.(Assigner)
	if !is {
		return nil, nil, ErrCannot
	}
	if !s.assigned {
		s.dist = reuse(s.dist, s.x.Rows)
		if err := m.Assign(s.x, s.out, s.dist); err != nil {
			return nil, nil, err
		}
		onlyFinite(s.dist, s.ok)
		s.done, s.assigned = true, true
	}
	return s.dist, s.ok, nil
}

// AnomalyScore returns a DOUBLE >= 0 per row, which is larger for more unusual rows. If the type of the
// model computes no score, the error is ErrCannot.
func (s *Scoring) AnomalyScore() (arrow.Array, error) {
	v, ok, err := s.scores()
	if err != nil {
		return nil, err
	}
	return doubles(v, ok), nil
}

// IsAnomaly is whether the score is above the threshold; NULL throughout when the version has none.
func (s *Scoring) IsAnomaly() (arrow.Array, error) {
	v, ok, err := s.scores()
	if err != nil {
		return nil, err
	}
	b := array.NewBooleanBuilder(flow.Mem)
	b.Reserve(len(v))
	for r := range v {
		if ok[r] && s.HasThreshold {
			b.UnsafeAppend(v[r] > s.Threshold)
		} else {
			b.AppendNull()
		}
	}
	return b.NewArray(), nil
}

// Cluster returns the number of the nearest centre of each row, an INT from 0. If the type of the model
// has no centres, the error is ErrCannot.
func (s *Scoring) Cluster() (arrow.Array, error) {
	if s.task() != Cluster {
		return nil, ErrCannot
	}
	out, ok, err := s.Raw()
	if err != nil {
		return nil, err
	}
	v := make([]int32, len(out))
	for r, k := range out {
		if ok[r] {
			v[r] = int32(k)
		}
	}
	return flow.Fixed(flow.Int, v, arrow.Int32Traits.CastToBytes, validity(ok)), nil
}

// Distance returns the distance of each row to the nearest centre, a DOUBLE. If the type of the model
// has no centres, the error is ErrCannot.
func (s *Scoring) Distance() (arrow.Array, error) {
	if s.task() != Cluster {
		return nil, ErrCannot
	}
	return s.AnomalyScore()
}

// ExplainType is the type of EXPLAIN.
var ExplainType = flow.Array(flow.Struct(flow.Field("feature", flow.String), flow.Field("part", flow.Double)))

// Explain returns the k features whose parts have the largest absolute values, the largest first and
// equal ones in the order of the features. If the type of the model does not explain its results, the
// error is ErrCannot.
func (s *Scoring) Explain(k int) (arrow.Array, error) {
	m, is := s.Model.(Explainer)
	if !is {
		return nil, ErrCannot
	}
	if _, _, err := s.Raw(); err != nil {
		return nil, err
	}
	features := s.Preparation.Features()
	s.parts = Matrix{s.x.Rows, reuseAll(s.parts.Cols, len(features), s.x.Rows)[:len(features)]}
	if err := m.Explain(s.x, s.parts); err != nil {
		return nil, err
	}
	b := flow.Builder(ExplainType)
	order := make([]int, len(features))
	for r := range s.x.Rows {
		if !s.ok[r] {
			b.AppendNull()
			continue
		}
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			x, y := math.Abs(s.parts.Cols[a][r]), math.Abs(s.parts.Cols[b][r])
			if x > y {
				return -1
			} else if x < y {
				return 1
			}
			return 0
		})
		var list []any
		for _, c := range order[:min(max(k, 0), len(order))] {
			list = append(list, []any{features[c].Name, s.parts.Cols[c][r]})
		}
		flow.Append(b, list)
	}
	return b.NewArray(), nil
}

// Embed returns the values of the narrowest layer as an ARRAY<DOUBLE>. If the type of the model has no
// layers, the error is ErrCannot.
func (s *Scoring) Embed() (arrow.Array, error) {
	m, is := s.Model.(Embedder)
	if !is {
		return nil, ErrCannot
	}
	if _, _, err := s.Raw(); err != nil {
		return nil, err
	}
	x, err := m.Embed(s.x)
	if err != nil {
		return nil, err
	}
	b := flow.Builder(flow.Array(flow.Double)).(*array.ListBuilder)
	values := b.ValueBuilder().(*array.Float64Builder)
	for r := range x.Rows {
		b.Append(s.ok[r])
		if s.ok[r] {
			for c := range x.Cols {
				values.Append(x.Cols[c][r])
			}
		}
	}
	return b.NewArray(), nil
}
