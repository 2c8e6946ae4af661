package op

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// An ARRAY of numbers is as many features as its first row has elements. In a row of another length
// all of these features are missing. widths has the number of elements of each column, 0 for a
// column that is not an array.

// widthsOf returns the widths from the first rows that have a value. It returns false while an
// array column has no value.
func widthsOf(cols []arrow.Array) (widths []int, known bool) {
	widths, known = make([]int, len(cols)), true
	for i, c := range cols {
		list, ok := c.(*array.List)
		if !ok {
			continue
		}
		found := false
		for r := 0; r < c.Len() && !found; r++ {
			if c.IsValid(r) {
				from, to := list.ValueOffsets(r)
				widths[i], found = int(to-from), to > from
			}
		}
		known = known && found
	}
	return widths, known
}

// widthsIn returns the widths from the inputs of a version: element k of feature f is the input
// "f[k]".
func widthsIn(names []string, inputs []ml.Input) []int {
	widths := make([]int, len(names))
	at := 0
	for i, n := range names {
		for at < len(inputs) && strings.HasPrefix(inputs[at].Name, n+"[") {
			widths[i]++
			at++
		}
		if widths[i] == 0 {
			at++
		}
	}
	return widths
}

// misfit returns an error if an array feature of a row does not have the width of its column.
func misfit(cols []arrow.Array, widths []int, names []string, row int) error {
	for i, width := range widths {
		list, ok := cols[i].(*array.List)
		if !ok || list.IsNull(row) {
			continue
		}
		if from, to := list.ValueOffsets(row); int(to-from) != width {
			return fmt.Errorf("feature %s does not have %d elements, as the first row of the training has", names[i], width)
		}
	}
	return nil
}

// Spread returns feature columns in the layout of a version, with a column per element of an array
// feature. names are the features' names.
func Spread(cols []arrow.Array, names []string, b *ml.Bundle) []arrow.Array {
	return spread(cols, widthsIn(names, b.Inputs))
}

// spread returns a DOUBLE column for each element of each array column.
func spread(cols []arrow.Array, widths []int) []arrow.Array {
	var out []arrow.Array
	for i, c := range cols {
		list, ok := c.(*array.List)
		if !ok {
			out = append(out, c)
			continue
		}
		elements := expr.CastColumn(list.ListValues(), flow.Double, udf.Env{Fail: func(int, error) {}})
		for k := range widths[i] {
			at := make([]int32, c.Len())
			missing := flow.Valid(c.Len())
			for r := range at {
				from, to := list.ValueOffsets(r)
				if c.IsNull(r) || int(to-from) != widths[i] {
					missing.Clear(r)
					continue
				}
				at[r] = int32(from) + int32(k)
			}
			out = append(out, element(elements.(*array.Float64), at, missing))
		}
	}
	return out
}

func element(values *array.Float64, at []int32, v flow.Validity) arrow.Array {
	out := make([]float64, len(at))
	for r, i := range at {
		if v.IsNull(r) {
			continue
		}
		if out[r] = values.Value(int(i)); values.IsNull(int(i)) {
			v.Clear(r)
		}
	}
	return flow.Fixed(flow.Double, out, arrow.Float64Traits.CastToBytes, v)
}

// spreadItems replaces each array feature's item by one item per element.
func spreadItems(items []ml.Item, names []string, types []flow.Type, widths []int) ([]ml.Item, []string, []flow.Type) {
	var outItems []ml.Item
	var outNames []string
	var outTypes []flow.Type
	for i, it := range items {
		if widths[i] == 0 {
			it.Input = len(outNames)
			outItems, outNames, outTypes = append(outItems, it), append(outNames, names[i]), append(outTypes, types[i])
			continue
		}
		for k := range widths[i] {
			e := it
			e.Input, e.Name = len(outNames), fmt.Sprintf("%s[%d]", names[i], k)
			outItems, outNames, outTypes = append(outItems, e), append(outNames, e.Name), append(outTypes, flow.Double)
		}
	}
	return outItems, outNames, outTypes
}
