// Package ml learns models from columns of numbers and predicts with them: learners and models, the preparation of features, the
// evaluation of predictions, and the bytes in which a version of a model is kept. It knows no topic and no operator; a learner is a
// pure function of its rows in order, its options and its seed, on every machine.
package ml

import "encoding"

// Matrix is rows of features by column: Cols[c][r], every column at least Rows long. A missing value is NaN; a nominal column holds
// level numbers.
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

// Learner turns rows into a model. Learn takes rows in order; one call with n rows leaves the same state, bit for bit, as n calls
// with one row. y is the target (a class number for classifiers), nil for none; w the weights, nil for 1. Columns may be added at
// the right of x from call to call, never elsewhere: rows before had 0 there. Its bytes, unmarshalled into a learner made from the
// same Spec, go on as if it had never stopped.
type Learner interface {
	Learn(x Matrix, y, w []float64) error
	// Model is what has been learned so far, independent of later rows.
	Model() Model
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Model predicts. It is immutable, safe to share between goroutines, and allocates nothing per batch. Predict writes for each row a
// class number, a value, an anomaly score or a cluster number, as its type's Task says. Columns of x beyond those it knows are ignored,
// and columns it knows that x lacks are 0.
type Model interface {
	Predict(x Matrix, out []float64) error
	encoding.BinaryMarshaler
}

// Task is what a type's predictions mean.
type Task string

// The tasks.
const (
	Classify Task = "classification" // Predict gives a class number
	Regress  Task = "regression"     // Predict gives a value
	Anomaly  Task = "anomaly"        // Predict gives a score >= 0, larger is odder
	Cluster  Task = "clustering"     // Predict gives a cluster number
)

// Supervised reports whether learning needs a target.
func (t Task) Supervised() bool { return t == Classify || t == Regress }

// Modes is the set of ways in which a type can be trained.
type Modes uint8

// The modes. A type with Event learns row by row and can predict at any time; the others may need several passes.
const (
	Once   Modes = 1 << iota // TRAIN ONCE
	Window                   // TRAIN EACH WINDOW FRESH
	Warm                     // TRAIN EACH WINDOW WARM START (its learner is a Warmer)
	Decay                    // TRAIN EACH WINDOW DECAY x (its learner is a Decayer)
	Event                    // TRAIN EACH EVENT
)

// Has reports whether all modes of m are in the set.
func (s Modes) Has(m Modes) bool { return s&m == m }

// Example is a statement and what it shows, for the manual.
type Example struct{ SQL, Result string }

// Type declares a model type: what the planner, the shell and the documents know of it.
type Type struct {
	Name, Doc, Paper string
	Task             Task
	Version          int // of the meaning of its bytes
	Options          []Option
	Trains           Modes
	// Prepare says that prepare='auto' scales numbers and one-hot encodes strings and booleans for this type.
	Prepare  bool
	Examples []Example
	// Check refuses options and features that do not fit together (nil: all do). It returns *OptionError or *LayersError.
	Check func(Spec) error
	New   func(Spec) (Learner, error)
	Load  func(Spec, []byte) (Model, error)
}

// Feature is one column of a Matrix. Levels nil: a number; else a nominal column of level numbers.
type Feature struct {
	Name   string   `json:"name"`
	Levels []string `json:"levels,omitempty"`
}

// Spec is what a learner is made from.
type Spec struct {
	Type     string
	Features []Feature // those known at the start; online preparation may add columns at the right
	Classes  int       // number of classes known at the start (0: as seen)
	Mode     Modes     // how it is trained; zero: Once
	Options  Options   // checked, with defaults; seed starts all random draws
}

// seed starts the type's random draws.
func (s Spec) seed() uint64 { return uint64(s.Options.Int("seed")) }

// online reports whether the learner must be able to predict between any two rows.
func (s Spec) online() bool { return s.Mode == Event }

// Tester predicts each row and then learns it, in one descent. old holds the rows as prepared before they were seen, x as
// prepared after; they may be the same. out receives predictions; proba, if it has columns, the probability of each class.
// Optional for a Learner; Test is the loop for those without it.
type Tester interface {
	Test(old, x Matrix, y, w, out []float64, proba Matrix) error
}

// Passer goes over its rows again. Learn only gathers; each Pass is one epoch and says whether another is due. Optional for a Learner.
type Passer interface {
	Pass() (again bool, err error)
}

// Keeper shows the prepared rows that a Passer holds, in blocks that are valid during the visit. Optional for a Learner.
type Keeper interface {
	Rows(visit func(Matrix) error) error
}

// Loser tells the mean loss of each pass so far. Optional for a Learner that is a Passer.
type Loser interface {
	Losses() []float64
}

// Warmer starts from an earlier version's model. It returns an error that wraps ErrShape when the model is of another shape.
// Optional for a Learner.
type Warmer interface {
	Warm(Model) error
}

// Decayer multiplies what it has gathered by x, 0 < x < 1. Optional for a Learner.
type Decayer interface {
	Decay(x float64)
}

// Merger takes in what another learner of the same Spec has learned. Such a type may be trained one per partition. Optional for a Learner.
type Merger interface {
	Learner
	Merge(Learner) error
}

// Undoer counts the updates that were undone because a weight would not have been finite. Optional for a Learner.
type Undoer interface {
	Undone() int64
}

// Prober gives the probability of each class: out has a column per class, rows sum to 1. Columns of classes that the model has
// never seen are 0. Optional for a Model.
type Prober interface {
	Proba(x, out Matrix) error
}

// Assigner gives the nearest centre and the distance to it. Optional for a Model.
type Assigner interface {
	Assign(x Matrix, cluster, distance []float64) error
}

// Explainer splits each prediction into parts, one per feature: out has the shape of x. Optional for a Model.
type Explainer interface {
	Explain(x, out Matrix) error
}

// Embedder gives the values of the narrowest layer. Optional for a Model.
type Embedder interface {
	Embed(x Matrix) (Matrix, error)
}

// Reconstructor gives the features as the model sees them: out has the shape of x. Optional for a Model.
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

// Test predicts each row of old and then learns the same row of x, whatever the learner. out may be nil when no predictions are
// wanted; proba without columns asks for none.
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
