package op

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf/ml"
)

// Evaluation scores a version over rows with a target. A row of a class that the version does not
// know counts as an error.
type Evaluation struct {
	scoring *ml.Scoring
	ev      *ml.Evaluator
	levels  *ml.Levels // the version's classes, then the others in order of appearance
}

// NewEvaluation returns an evaluation of a version that adds to an evaluator.
func NewEvaluation(b *ml.Bundle, ev *ml.Evaluator) *Evaluation {
	return &Evaluation{scoring: b.NewScoring(), ev: ev, levels: ml.NewLevels(b.Classes...)}
}

// Add scores rows and adds the results to the evaluator. Rows without a target or a prediction are
// left out.
func (e *Evaluation) Add(features []arrow.Array, target arrow.Array) error {
	rows := target.Len()
	if err := e.scoring.Read(features, rows); err != nil {
		return err
	}
	out, ok, err := e.scoring.Raw()
	if err != nil {
		return err
	}
	actual := make([]float64, rows)
	for i := range actual {
		switch {
		case !ok[i] || target.IsNull(i):
			actual[i] = nan
		case len(e.scoring.Classes) > 0:
			actual[i] = float64(e.levels.Add(ml.Level(target, i)))
		case e.ev.Anomalies():
			actual[i] = anomalous(target, i)
		default:
			actual[i] = numberAt(target, i)
		}
	}
	proba, err := e.scoring.RawProba()
	if err != nil {
		return err
	}
	if len(e.scoring.Classes) > 0 {
		e.ev.Positive(ml.PositiveClass(e.scoring.Spec.Options, e.scoring.Target.Type, e.levels.Names))
	}
	e.ev.Add(out, actual, proba)
	return nil
}

// anomalous returns 1 for the target of an anomaly, true, 'yes' or the number 1, and 0 for the
// opposite.
func anomalous(col arrow.Array, i int) float64 {
	if col.IsNull(i) {
		return nan
	}
	switch v := flow.Value(col, i).(type) {
	case bool:
		if v {
			return 1
		}
		return 0
	case string:
		switch v {
		case "true", "TRUE", "yes", "1":
			return 1
		case "false", "FALSE", "no", "0":
			return 0
		}
		return nan
	}
	return numberAt(col, i)
}
