package ml

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// Item is one entry of TRANSFORM: an input column, the step that prepares it ("" passes a
// number unchanged) with its literal arguments, and the name of the feature. Impute first fills
// missing values: by "mean", "median" or "most_frequent" for numbers, by "most_frequent" for words;
// "" does not. Expr is the SQL that computes the input.
type Item struct {
	Input  int    `json:"input"`
	Name   string `json:"name"`
	Expr   string `json:"expr,omitempty"`
	Step   string `json:"step,omitempty"`
	Args   []any  `json:"args,omitempty"`
	Impute string `json:"impute,omitempty"`
}

// AutoItems adds the steps of prepare='auto' to items without a step: scaled numbers and
// one-hot words for linear, net and distance types, unchanged numbers and level numbers for all
// others. inputs are the types of the input columns.
func AutoItems(t Type, items []Item, inputs []flow.Type) []Item {
	items = slices.Clone(items)
	for i := range items {
		it := &items[i]
		if it.Input >= 0 && it.Input < len(inputs) && strings.EqualFold(it.Step, "ML_IMPUTER") {
			it.imputer(inputs[it.Input])
		}
		if it.Step != "" || it.Input < 0 || it.Input >= len(inputs) {
			continue
		}
		switch word := nominal(inputs[it.Input]); {
		case word && t.Prepare:
			it.Step = "ML_ONE_HOT_ENCODER"
		case word:
			it.Step = "ML_LABEL_ENCODER"
		case t.Prepare:
			it.Step = "ML_STANDARD_SCALER"
		}
	}
	return items
}

// Preparation turns input columns into a Matrix of features. Fit and Freeze learn its state
// from the rows of a bounded training; Roll learns it row by row; Transform only applies it and
// may run in several goroutines, each with Buffers of its own.
type Preparation struct {
	items  []*item
	slots  []slot // by feature
	undone int64
}

// item is an Item with its state: a scaler for a number, levels for words.
type item struct {
	Item
	typ     flow.Type
	scaler  scaler
	fill    filler // of a number that is imputed
	levels  *Levels
	carried int       // the first levels, which an earlier version knows
	counts  []float64 // by level
	oneHot  bool
	top     int
	slotOf  []int32 // feature of each level, -1: none; one-hot only
	declare bool    // levels are declared: no other becomes one
}

// slot is one feature: an item, and for one-hot its level.
type slot struct{ item, level int }

// maxLevels bounds the levels counted before Freeze.
const maxLevels = 100_000

// NewPreparation checks items against the types of the input columns. Errors are *OptionError
// for the option "transform".
func NewPreparation(items []Item, inputs []flow.Type) (*Preparation, error) {
	p := &Preparation{}
	for _, it := range items {
		refuse := func(format string, args ...any) (*Preparation, error) {
			return nil, &OptionError{Option: "transform", Reason: it.Name + ": " + fmt.Sprintf(format, args...)}
		}
		if it.Input < 0 || it.Input >= len(inputs) {
			return refuse("there is no input column %d", it.Input)
		}
		t := inputs[it.Input]
		if !Usable(t) {
			return refuse("a column of type %s cannot be a feature", flow.TypeName(t))
		}
		st, err := LookupStep(it.Step)
		if err != nil {
			return nil, err
		}
		if err := st.check(it.Args); err != nil {
			return refuse("%s %v", st.Name, err)
		}
		x := &item{Item: it, typ: t}
		x.Step = st.Name
		if st.Name == "ML_IMPUTER" {
			x.imputer(t)
			if x.Step == "" && t.ID() == arrow.STRING {
				x.Step = "ML_ONE_HOT_ENCODER"
			}
			st, _ = LookupStep(x.Step)
		}
		if t.ID() == arrow.STRING && st.number != nil {
			return refuse("%s requires a number, not %s", orRaw(st.Name), flow.TypeName(t))
		}
		if x.Impute != "" && x.Impute != "most_frequent" && st.number == nil {
			return refuse("'%s' imputes numbers; for %s use 'most_frequent'", x.Impute, orRaw(st.Name))
		}
		x.open(st)
		p.items = append(p.items, x)
	}
	p.layout()
	return p, nil
}

func orRaw(step string) string {
	if step == "" {
		return "a feature without a step"
	}
	return step
}

// imputer turns the step ML_IMPUTER into an imputation, after which the item has no step yet.
func (it *Item) imputer(t flow.Type) {
	it.Step, it.Impute = "", "mean"
	if len(it.Args) == 1 {
		it.Impute, _ = it.Args[0].(string)
	} else if nominal(t) {
		it.Impute = "most_frequent"
	}
	it.Args = nil
}

func (x *item) open(st StepType) {
	if st.number != nil {
		x.scaler, x.fill = st.number(x.Args), newFiller(x.Impute)
		return
	}
	x.levels, x.oneHot, x.top = new(Levels), st.Name == "ML_ONE_HOT_ENCODER", maxLevels
	if x.oneHot {
		x.top = 100
		if len(x.Args) == 1 {
			x.top = int(plain(x.Args[0]).(int64))
		}
	} else if len(x.Args) == 1 {
		x.declare = true
		for _, v := range plain(x.Args[0]).([]any) {
			x.levels.Add(fmt.Sprint(v))
		}
		x.counts = make([]float64, len(x.levels.Names))
	}
}

// layout numbers the features in the order of the items.
func (p *Preparation) layout() {
	p.slots = p.slots[:0]
	for i, x := range p.items {
		if !x.oneHot {
			p.slots = append(p.slots, slot{i, 0})
			continue
		}
		x.slotOf = x.slotOf[:0]
		for level := range x.levels.Names {
			x.slotOf = append(x.slotOf, int32(len(p.slots)))
			p.slots = append(p.slots, slot{i, level})
		}
	}
}

// Clone returns a copy that later rows do not change, for a version that is published between
// two rows.
func (p *Preparation) Clone() *Preparation {
	c := &Preparation{slots: slices.Clone(p.slots), undone: p.undone}
	for _, x := range p.items {
		y := *x
		y.counts, y.slotOf = slices.Clone(x.counts), slices.Clone(x.slotOf)
		if x.levels != nil {
			y.levels = NewLevels(x.levels.Names...)
		} else {
			st, _ := LookupStep(x.Step)
			y.scaler = st.number(x.Args)
			_ = y.scaler.restore(x.scaler.state()) // its own state always fits
			if y.fill = newFiller(x.Impute); y.fill != nil {
				_ = y.fill.restore(x.fill.state())
			}
		}
		c.items = append(c.items, &y)
	}
	return c
}

// Items are the checked items.
func (p *Preparation) Items() []Item {
	out := make([]Item, len(p.items))
	for i, x := range p.items {
		out[i] = x.Item
	}
	return out
}

// Features returns the columns of the matrices that Transform returns now.
func (p *Preparation) Features() []Feature {
	out := make([]Feature, len(p.slots))
	for i, s := range p.slots {
		x := p.items[s.item]
		switch {
		case x.oneHot:
			out[i] = Feature{Name: x.Name + "=" + x.levels.Names[s.level]}
		case x.levels != nil:
			out[i] = Feature{Name: x.Name, Levels: slices.Clone(x.levels.Names)}
		default:
			out[i] = Feature{Name: x.Name}
		}
	}
	return out
}

// Undone counts the updates left out because a mean or deviation would not have been finite.
func (p *Preparation) Undone() int64 { return p.undone }

// decode converts the inputs into the buffers and marks the rows whose features are all
// present.
func (p *Preparation) decode(cols []arrow.Array, rows int, b *Buffers) error {
	b.rows = rows
	b.nums, b.codes = reuseAll(b.nums, len(p.items), rows), reuseAll(b.codes, len(p.items), rows)
	b.ok = reuse(b.ok, rows)
	for r := range b.ok {
		b.ok[r] = true
	}
	for i, x := range p.items {
		if x.Input >= len(cols) || cols[x.Input].Len() < rows {
			return fmt.Errorf("feature %s: input column %d is missing", x.Name, x.Input)
		}
		var err error
		if x.levels != nil {
			err = x.levels.Codes(cols[x.Input], b.codes[i])
		} else {
			err = numbers(cols[x.Input], b.nums[i])
		}
		if err != nil {
			return fmt.Errorf("feature %s: %w", x.Name, err)
		}
	}
	return nil
}

// present clears ok where an input is missing and nothing imputes it, and for learning where a
// number is not below Limit.
func (p *Preparation) present(b *Buffers, learning bool) {
	for i, x := range p.items {
		if x.levels != nil {
			if x.Impute != "" { // filled, or found missing, with the words before
				continue
			}
			for r, code := range b.codes[i] {
				if code == -2 {
					b.ok[r] = false
				}
			}
			continue
		}
		if learning {
			learnable(b.nums[i], b.ok)
		} else {
			onlyFinite(b.nums[i], b.ok)
		}
	}
}

func onlyFinite(col []float64, ok []bool) {
	ok = ok[:len(col)]
	for r, v := range col {
		if v-v != 0 {
			ok[r] = false
		}
	}
}

// fill imputes missing values with the present state.
func (p *Preparation) fill(b *Buffers) {
	for i, x := range p.items {
		switch {
		case x.fill != nil:
			top, known := x.fill.value()
			for r, v := range b.nums[i] {
				if v != v && known {
					b.nums[i][r] = top
				}
			}
		case x.Impute == "most_frequent":
			top := int32(-1)
			if len(x.counts) > 0 {
				top = x.mostFrequent()
			}
			for r, code := range b.codes[i] {
				if code == -2 && top < 0 {
					b.ok[r] = false
				} else if code == -2 {
					b.codes[i][r] = top
				}
			}
		}
	}
}

func (x *item) mostFrequent() int32 {
	best := 0
	for k, n := range x.counts {
		if n > x.counts[best] {
			best = k
		}
	}
	return int32(best)
}

// Transform prepares rows with the present state. ok marks the rows whose features are all
// present and finite; the values of other rows are undefined.
func (p *Preparation) Transform(cols []arrow.Array, rows int, b *Buffers) (x Matrix, ok []bool, err error) {
	return p.transform(cols, rows, b, false)
}

// TransformToLearn is Transform for rows that are learned: a row with a number that is not below
// Limit is not ok.
func (p *Preparation) TransformToLearn(
	cols []arrow.Array,
	rows int,
	b *Buffers,
) (x Matrix, ok []bool, err error) {
	return p.transform(cols, rows, b, true)
}

func (p *Preparation) transform(cols []arrow.Array, rows int, b *Buffers, learning bool) (x Matrix, ok []bool, err error) {
	if err := p.decode(cols, rows, b); err != nil {
		return x, nil, err
	}
	p.fill(b)
	p.present(b, learning)
	b.now = reuseAll(b.now, len(p.slots), rows)
	for f, s := range p.slots {
		x, out := p.items[s.item], b.now[f]
		switch {
		case x.oneHot:
			hot(b.codes[s.item], int32(s.level), out)
		case x.levels != nil:
			x.label(b.codes[s.item], out)
			onlyFinite(out, b.ok)
		default:
			x.scaler.apply(b.nums[s.item], out)
			onlyFinite(out, b.ok)
		}
	}
	return Matrix{rows, b.now[:len(p.slots)]}, b.ok, nil
}

func hot(codes []int32, level int32, out []float64) {
	out = out[:len(codes)]
	for r, code := range codes {
		out[r] = 0
		if code == level {
			out[r] = 1
		}
	}
}

// label writes the numbers of levels. When an encoder has as many levels as it can have, all other
// values share one more number.
func (x *item) label(codes []int32, out []float64) {
	full := !x.declare && len(x.levels.Names) >= x.top
	for r, code := range codes {
		switch {
		case code >= 0:
			out[r] = float64(code)
		case code == -1 && full:
			out[r] = float64(x.top)
		default:
			out[r] = math.NaN()
		}
	}
}
