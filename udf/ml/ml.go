// Package ml learns models from columns of numbers and predicts with them. It contains learners
// and models, the preparation of features, the evaluation of predictions, and the encoding of a
// model version. It does not depend on topics and operators. A learner is a pure function of
// its rows in order, its options and its seed, with the same result on every machine.
package ml

import "encoding"

// Matrix is rows of features by column: Cols[c][r], every column at least Rows long. A missing
// value is NaN; a nominal column holds level numbers.
type Matrix struct {
	Rows int
	Cols [][]float64
}

// Slice returns rows [from, to) without copying values.
func (m Matrix) Slice(from, to int) Matrix {
	cols := make([][]float64, len(m.Cols))
	for c, col := range m.Cols {
		cols[c] = col[from:to]
	}
	return Matrix{Rows: to - from, Cols: cols}
}

// Learner turns rows into a model. Learn receives rows in order; one call with n rows results
// in the same state, bit for bit, as n calls with one row. y is the target (a class number for
// classifiers), nil for none; w contains the weights, nil for 1. Columns may be added at the
// right of x from call to call, never elsewhere: earlier rows have 0 in them. A learner that is
// marshalled and unmarshalled into a learner of the same Spec continues with identical results.
type Learner interface {
	Learn(x Matrix, y, w []float64) error
	// Model returns the model learned so far. Later rows do not change it.
	Model() Model
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Model predicts. It is immutable, safe for concurrent use, and allocates nothing per batch.
// Predict writes for each row a class number, a value, an anomaly score or a cluster number,
// depending on the Task of its type. Columns of x beyond those it knows are ignored, and
// missing columns count as 0.
type Model interface {
	Predict(x Matrix, out []float64) error
	encoding.BinaryMarshaler
}

// Task is the meaning of a type's predictions.
type Task string

// The tasks.
const (
	Classify Task = "classification" // Predict returns a class number
	Regress  Task = "regression"     // Predict returns a value
	Anomaly  Task = "anomaly"        // Predict returns a score >= 0, larger for unusual rows
	Cluster  Task = "clustering"     // Predict returns a cluster number
)

// Supervised reports whether learning needs a target.
func (t Task) Supervised() bool { return t == Classify || t == Regress }

// Modes is the set of ways in which a type can be trained.
type Modes uint8

// The modes. A type with Event learns row by row and can predict at any time; the others may
// need several passes.
const (
	Once   Modes = 1 << iota // TRAIN ONCE
	Window                   // TRAIN EACH WINDOW FRESH
	Warm                     // TRAIN EACH WINDOW WARM START (its learner is a Warmer)
	Decay                    // TRAIN EACH WINDOW DECAY x (its learner is a Warmer and a Decayer)
	Event                    // TRAIN EACH EVENT
)

// Has reports whether all modes of m are in the set.
func (s Modes) Has(m Modes) bool { return s&m == m }

// Example is a statement and its result, for the manual.
type Example struct{ SQL, Result string }

// Type declares a model type for the planner, the shell and the manual.
type Type struct {
	Name, Doc, Paper string
	Task             Task
	Version          int // of the meaning of its bytes
	Options          []Option
	Trains           Modes
	// Blind means that the type looks at no feature: none is prepared, and a row is learned whichever
	// of its features are missing.
	Blind bool
	// Prepare means that prepare='auto' scales numbers and one-hot encodes strings and booleans
	// for this type.
	Prepare  bool
	Examples []Example
	// Check refuses options and features that do not fit together (nil: all do). It returns
	// *OptionError or *LayersError.
	Check func(Spec) error
	New   func(Spec) (Learner, error)
	Load  func(Spec, []byte) (Model, error)
}

// Feature is one column of a Matrix. Levels nil: a number; else a nominal column of level numbers.
type Feature struct {
	Name   string   `json:"name"`
	Levels []string `json:"levels,omitempty"`
}

// Spec contains the parameters of a learner.
type Spec struct {
	Type     string
	Features []Feature // the initial ones; online preparation may add columns at the right
	Classes  int       // number of classes known at the start (0: as seen)
	Mode     Modes     // how it is trained; zero: Once
	Options  Options   // checked, with defaults; seed starts all random draws
}

// seed starts the type's random draws.
func (s Spec) seed() uint64 { return uint64(s.Options.Int("seed")) }

// online reports whether the learner must be able to predict between any two rows.
func (s Spec) online() bool { return s.Mode == Event }

// Tester predicts each row and then learns it, in one pass. old contains the rows as prepared
// before they were learned, x as prepared after; they may be the same. out receives
// predictions; proba, if it has columns, the probability of each class. It is an optional
// interface of a Learner; the function Test is the loop for learners without it.
type Tester interface {
	Test(old, x Matrix, y, w, out []float64, proba Matrix) error
}

// Batcher is an optional interface of a Learner that learns mini-batches of rows by events. The
// scaling of features changes with each row, so such a learner receives numbers without scaling and
// scales a whole mini-batch alike.
type Batcher interface {
	// Room returns the number of rows that still fit into the mini-batch. At 0, Scale precedes the
	// next row.
	Room() int
	// Scale sets the scaling of each feature as of the last row. It also precedes Model.
	Scale([]Line)
}

// Passer is an optional interface of a Learner that iterates over its rows. Learn only stores
// them; each Pass is one epoch and reports whether another is needed.
type Passer interface {
	Pass() (again bool, err error)
}

// Keeper shows the prepared rows that a Passer holds, in blocks that are valid during the
// visit. Optional for a Learner.
type Keeper interface {
	Rows(visit func(Matrix) error) error
}

// Loser is an optional interface of a Passer that reports the mean loss of each pass so far.
type Loser interface {
	Losses() []float64
}

// Warmer starts from an earlier version's model, whose features and classes it finds by the Carry.
// When the model is of another shape, it returns an error that wraps ErrShape and does not change.
// Optional for a Learner.
type Warmer interface {
	Warm(Model, Carry) error
}

// Decayer is an optional interface of a Learner that can multiply the weight of its past rows
// by x, 0 < x < 1.
type Decayer interface {
	Decay(x float64)
}

// Merger is an optional interface of a Learner that can merge the state of another learner of
// the same Spec. Such a type may be trained once per partition.
type Merger interface {
	Learner
	Merge(Learner) error
}

// Undoer counts the updates that were undone because a weight would not have been finite.
// Optional for a Learner.
type Undoer interface {
	Undone() int64
}

// Prober is an optional interface of a Model that returns the probability of each class: out
// has a column per class, and rows sum to 1. Columns of classes that the model has never seen
// are 0.
type Prober interface {
	Proba(x, out Matrix) error
}

// Assigner is an optional interface of a Model that returns the nearest centre and the distance
// to it.
type Assigner interface {
	Assign(x Matrix, cluster, distance []float64) error
}

// Centred is an optional interface of a Model that returns the number of its centres.
type Centred interface {
	Centres() int
}

// Explainer splits each prediction into parts, one per feature: out has the shape of x.
// Optional for a Model.
type Explainer interface {
	Explain(x, out Matrix) error
}

// Embedder is an optional interface of a Model that returns the values of its narrowest layer.
type Embedder interface {
	Embed(x Matrix) (Matrix, error)
}

// Reconstructor is an optional interface of a Model that returns the features as the model
// reconstructs them: out has the shape of x.
type Reconstructor interface {
	Reconstruct(x, out Matrix) error
}

// Inspector shows the inside of a model as a table: "weights", "centroids". Optional for a Model.
type Inspector interface {
	Table(name string, features []Feature) (Table, error)
}

// Table is rows of Go values (string, int64, float64) under column names.
type Table struct {
	Columns []string
	Rows    [][]any
}

// Test predicts each row of old and then learns the same row of x, with any learner. out may be
// nil if no predictions are needed; proba without columns requests none.
func Test(l Learner, old, x Matrix, y, w, out []float64, proba Matrix) error {
	if out == nil {
		return l.Learn(x, y, w)
	}
	if t, ok := l.(Tester); ok {
		return t.Test(old, x, y, w, out, proba)
	}
	for r := range x.Rows {
		m := l.Model()
		if err := m.Predict(old.Slice(r, r+1), out[r:r+1]); err != nil {
			return err
		}
		if p, ok := m.(Prober); ok && len(proba.Cols) > 0 {
			if err := p.Proba(old.Slice(r, r+1), proba.Slice(r, r+1)); err != nil {
				return err
			}
		}
		if err := l.Learn(x.Slice(r, r+1), part(y, r), part(w, r)); err != nil {
			return err
		}
	}
	return nil
}

func part(v []float64, r int) []float64 {
	if v == nil {
		return nil
	}
	return v[r : r+1]
}
