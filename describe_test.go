package streamql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/udf/ml"
)

// TestModelTypes lists and describes every model type, and every function that no registry contains.
func TestModelTypes(t *testing.T) {
	e := open(t)
	all := result(t, e, "SHOW MODEL TYPES;")
	for _, typ := range ml.Types() {
		if !strings.Contains(all, typ.Name+" "+string(typ.Task)) {
			t.Errorf("SHOW MODEL TYPES lacks %s:\n%s", typ.Name, all)
		}
		one := result(t, e, "DESCRIBE MODEL TYPE "+typ.Name+";")
		for _, o := range typ.Options {
			if !strings.Contains(one, "option "+o.Name+" "+o.KindName()) {
				t.Errorf("%s lacks option %s:\n%s", typ.Name, o.Name, one)
			}
		}
	}
	refused(t, e, "DESCRIBE MODEL TYPE kmean;", "SQ6009", "kmeans")
	if got := result(t, e, "DESCRIBE MODEL TYPE kmeans;"); !strings.Contains(got, "CLUSTER, DISTANCE") ||
		strings.Contains(got, "PREDICT_PROBA") {
		t.Errorf("the functions of kmeans: %s", got)
	}
}

func TestSpecialFunctions(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM s (a DOUBLE, b DOUBLE) WITH (topic='s', format='json');
		INSERT INTO s VALUES (1, 2), (5, 6), (1.5, 2);
		CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='kmeans', k=2);
		RETRAIN MODEL m;`)
	kinds := map[string]int{}
	for _, f := range planner.Functions(e.Functions()) {
		kinds[f.Kind]++
		if got := result(t, e, "DESCRIBE FUNCTION "+f.Name+";"); !strings.Contains(got, f.Kind) {
			t.Errorf("%s is described as %s", f.Name, got)
		}
		for _, x := range f.Examples {
			text := x.SQL
			switch f.Kind {
			case "LAMBDA":
				text = "SELECT " + x.SQL + " AS x;"
			case "MODEL":
				text = "SELECT " + x.SQL + " AS x FROM s;"
			case "RELATION":
			default:
				continue
			}
			rows, err := e.Query(context.Background(), text)
			if err != nil {
				if !strings.Contains(err.Error(), "not a function of model type") && !strings.Contains(err.Error(), "no TARGET") {
					t.Errorf("%s: %v", text, err)
				}
				continue
			}
			for b, err := range rows.Batches() {
				if err != nil {
					t.Errorf("%s: %v", text, err)
				} else if got := strings.TrimPrefix(strings.TrimSpace(b.Text()), "+ x="); x.Want != "" && got != x.Want {
					t.Errorf("%s is %s, want %s", text, got, x.Want)
				}
			}
		}
	}
	for _, kind := range []string{"MODEL", "LAMBDA", "RELATION", "TRANSFORM", "SCALAR", "AGGREGATE", "TABLE"} {
		if kinds[kind] == 0 {
			t.Errorf("no function of kind %s", kind)
		}
	}
}
