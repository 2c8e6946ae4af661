package planner

import (
	"slices"
	"strings"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// Function is a line of SHOW FUNCTIONS and its examples.
type Function struct {
	udf.Entry
	Examples []udf.Example
}

// The kinds of functions that no registry contains: functions of models, functions with lambdas, steps of TRANSFORM in
// CREATE MODEL, and functions in FROM.
const (
	kindModel    = "MODEL"
	kindLambda   = "LAMBDA"
	kindStep     = "TRANSFORM"
	kindRelation = "RELATION"
)

// special lists the functions that the binder reads itself. The steps of TRANSFORM are those of package ml.
var special = []Function{
	of("PREDICT", kindModel, "the model's prediction for a row: a class, a value, a score or a cluster",
		"PREDICT(m, *)", "PREDICT(m$2, a, b)"),
	of("PREDICT_PROBA", kindModel, "the probability of each class, of a classifier", "PREDICT_PROBA(m, *)"),
	of("ANOMALY_SCORE", kindModel, "how unusual a row is, from 0", "ANOMALY_SCORE(m, *)"),
	of("IS_ANOMALY", kindModel, "whether ANOMALY_SCORE is above the model's threshold", "IS_ANOMALY(m, *)"),
	of("CLUSTER", kindModel, "the number of the nearest centre", "CLUSTER(m, *)"),
	of("DISTANCE", kindModel, "the distance to the nearest centre", "DISTANCE(m, *)"),
	of("EXPLAIN", kindModel, "the n features with the largest part in a prediction", "EXPLAIN(m, 3, *)"),
	of("EMBED", kindModel, "the values of the narrowest layer, of an autoencoder", "EMBED(m, *)"),
	of("MODEL_VERSION", kindModel, "the number of the version that predicts for a row", "MODEL_VERSION(m)"),
	{udf.Entry{Name: "TRANSFORM", Kind: kindLambda, Doc: "an ARRAY or MAP with each element transformed by a lambda"},
		[]udf.Example{{SQL: "TRANSFORM(ARRAY[1, 2], x => x * 10)", Want: "[10 20]"},
			{SQL: "TRANSFORM(MAP('a' := 1), (k, v) => UCASE(k), (k, v) => v + 1)", Want: "[{A 2}]"}}},
	{udf.Entry{Name: "FILTER", Kind: kindLambda, Doc: "the elements of an ARRAY or MAP for which a lambda is true"},
		[]udf.Example{{SQL: "FILTER(ARRAY[1, 2, 3], x => x > 1)", Want: "[2 3]"}}},
	{udf.Entry{Name: "REDUCE", Kind: kindLambda, Doc: "one value from the elements of an ARRAY or MAP, from a start value"},
		[]udf.Example{{SQL: "REDUCE(ARRAY[1, 2, 3], 0, (s, x) => s + x)", Want: "6"}}},
	of("ML_EVALUATE", kindRelation, "the metrics of a model over the rows of a stream or table",
		"SELECT * FROM ML_EVALUATE(m, s)"),
	of("ML_TRAINING_INFO", kindRelation, "the passes of a model's trainings with their losses",
		"SELECT * FROM ML_TRAINING_INFO(m)"),
}

func of(name, kind, doc string, examples ...string) Function {
	f := Function{Entry: udf.Entry{Name: name, Kind: kind, Doc: doc}}
	for _, e := range examples {
		f.Examples = append(f.Examples, udf.Example{SQL: e})
	}
	return f
}

// Functions lists all functions by name: those of the registry and those that the binder reads itself.
func Functions(r *udf.Registry) []Function {
	out := slices.Clone(special)
	for _, s := range ml.Steps() {
		if s.Name != "" {
			out = append(out, of(s.Name, kindStep, s.Doc, s.Name+"(x"+s.Args+")"))
		}
	}
	for _, f := range r.All() {
		out = append(out, Function{f, r.Examples(f.Name)})
	}
	slices.SortStableFunc(out, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// FunctionsOf lists the functions of models that a type has.
func FunctionsOf(t ml.Type) (out []string) {
	training := &Training{Type: t.Name, Target: catalog.Column{Type: flow.String}}
	for _, f := range special {
		if f.Kind != kindModel {
			continue
		}
		if _, err := training.result(f.Name); err == nil {
			out = append(out, f.Name)
		}
	}
	return out
}
