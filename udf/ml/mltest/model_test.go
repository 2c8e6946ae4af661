package mltest

import (
	"testing"

	"github.com/streamql/streamql/udf/ml"
)

func TestModels(t *testing.T) {
	if len(ml.Types()) < 7 {
		t.Errorf("%d types are registered", len(ml.Types()))
	}
	for _, typ := range ml.Types() {
		if typ.Doc == "" || len(typ.Examples) == 0 || typ.Version < 1 || typ.Trains == 0 {
			t.Errorf("type %s lacks doc, example, version or modes", typ.Name)
		}
		Model(t, typ)
	}
}
