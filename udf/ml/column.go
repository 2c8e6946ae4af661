package ml

import (
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// Usable reports whether a column of the type can be a feature by itself: numbers, STRING and
// BOOLEAN.
func Usable(t flow.Type) bool {
	return flow.IsNumber(t) || t.ID() == arrow.STRING || t.ID() == arrow.BOOL
}

// nominal reports whether values of the type are words rather than numbers.
func nominal(t flow.Type) bool { return t.ID() == arrow.STRING || t.ID() == arrow.BOOL }

// numbers writes a column's values into out, NULL as NaN. BOOLEAN is 0 and 1.
func numbers(a arrow.Array, out []float64) error {
	switch a := a.(type) {
	case *array.Float64:
		copy(out, a.Float64Values())
	case *array.Float32:
		for r, v := range a.Float32Values() {
			out[r] = float64(v)
		}
	case *array.Int32:
		for r, v := range a.Int32Values() {
			out[r] = float64(v)
		}
	case *array.Int64:
		for r, v := range a.Int64Values() {
			out[r] = float64(v)
		}
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		for r, v := range a.Values() {
			out[r] = v.ToFloat64(scale)
		}
	case *array.Boolean:
		for r := range a.Len() {
			out[r] = 0
			if a.Value(r) {
				out[r] = 1
			}
		}
	case *array.Null:
	default:
		return fmt.Errorf("a column of type %s is not a number", flow.TypeName(a.DataType()))
	}
	if a.NullN() > 0 {
		for r := range a.Len() {
			if a.IsNull(r) {
				out[r] = math.NaN()
			}
		}
	}
	return nil
}

// Levels numbers the distinct values of a nominal column or of a target: declared ones in
// order, others in the order of their first occurrence. The zero value is ready for use.
// Numbers are levels under their shortest representation; NULL and NaN are not levels.
type Levels struct {
	Names []string
	codes map[string]int32
	nums  map[float64]int32 // the same for numeric values, without formatting them
}

// NewLevels declares levels.
func NewLevels(names ...string) *Levels {
	l := new(Levels)
	for _, name := range names {
		l.Add(name)
	}
	return l
}

// Find returns the number of a level, or -1 if it does not exist.
func (l *Levels) Find(name string) int32 {
	if code, ok := l.codes[name]; ok {
		return code
	}
	return -1
}

// Add returns the number of a level, which it adds if it does not exist.
func (l *Levels) Add(name string) int32 {
	if code, ok := l.codes[name]; ok {
		return code
	}
	if l.codes == nil {
		l.codes, l.nums = make(map[string]int32), make(map[float64]int32)
	}
	code := int32(len(l.Names))
	l.Names = append(l.Names, name)
	l.codes[name] = code
	if f, err := strconv.ParseFloat(name, 64); err == nil && f == f && spell(f) == name {
		l.nums[f] = code
	}
	return code
}

// Codes writes the level number of each row: -1 for a value that is not a level, -2 for NULL
// and NaN.
func (l *Levels) Codes(a arrow.Array, out []int32) error {
	switch a := a.(type) {
	case *array.String:
		for r := range a.Len() {
			out[r] = l.Find(a.Value(r))
		}
	case *array.Boolean:
		no, yes := l.Find("false"), l.Find("true")
		for r := range a.Len() {
			out[r] = no
			if a.Value(r) {
				out[r] = yes
			}
		}
	case *array.Int32:
		for r, v := range a.Int32Values() {
			out[r] = l.number(float64(v))
		}
	case *array.Int64:
		for r, v := range a.Int64Values() {
			if out[r] = l.number(float64(v)); v >= 1<<53 || v <= -1<<53 {
				out[r] = l.Find(strconv.FormatInt(v, 10))
			}
		}
	case *array.Float64:
		for r, v := range a.Float64Values() {
			out[r] = l.number(v)
		}
	case *array.Float32, *array.Decimal128:
		for r := range a.Len() {
			out[r] = l.Find(Level(a, r))
		}
	case *array.Null:
	default:
		return fmt.Errorf("a column of type %s has no levels", flow.TypeName(a.DataType()))
	}
	if a.NullN() > 0 {
		for r := range a.Len() {
			if a.IsNull(r) {
				out[r] = -2
			}
		}
	}
	return nil
}

func (l *Levels) number(v float64) int32 {
	if v != v {
		return -2
	}
	if code, ok := l.nums[v]; ok {
		return code
	}
	return -1
}

// Level returns the value of a row as a level; the row must not be NULL.
func Level(a arrow.Array, row int) string {
	switch a := a.(type) {
	case *array.String:
		return a.Value(row)
	case *array.Boolean:
		return strconv.FormatBool(a.Value(row))
	case *array.Int32:
		return strconv.Itoa(int(a.Value(row)))
	case *array.Int64:
		return strconv.FormatInt(a.Value(row), 10)
	case *array.Float32:
		return strconv.FormatFloat(float64(a.Value(row)), 'g', -1, 32)
	case *array.Float64:
		return spell(a.Value(row))
	case *array.Decimal128:
		return a.Value(row).ToString(a.DataType().(*arrow.Decimal128Type).Scale)
	}
	return ""
}

// spell formats integers without an exponent, as SQL does; -0 is 0.
func spell(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
