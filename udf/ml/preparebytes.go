package ml

import (
	"fmt"
	"math"

	"github.com/streamql/streamql/flow"
)

// itemState is the part of an item's encoding that is not numbers.
type itemState struct {
	Item
	Levels []string `json:"levels,omitempty"`
}

type preparationMeta struct {
	Items []itemState `json:"items"`
	Slots [][2]int    `json:"slots"`
}

// MarshalBinary writes items and state.
func (p *Preparation) MarshalBinary() ([]byte, error) {
	var out Payload
	var meta preparationMeta
	for i, x := range p.items {
		st := itemState{Item: x.Item}
		if x.levels != nil {
			st.Levels = x.levels.Names
			out.PutFloats(fmt.Sprintf("counts%d", i), x.counts)
		} else {
			out.PutFloats(fmt.Sprintf("state%d", i), x.scaler.state())
		}
		if x.fill != nil {
			out.PutFloats(fmt.Sprintf("mean%d", i), x.fill.state())
		}
		meta.Items = append(meta.Items, st)
	}
	for _, s := range p.slots {
		meta.Slots = append(meta.Slots, [2]int{s.item, s.level})
	}
	out.PutInts("undone", []int64{p.undone})
	if err := out.SetMeta(meta); err != nil {
		return nil, err
	}
	return out.MarshalBinary()
}

// LoadPreparation decodes the result of MarshalBinary, for input columns of the given types.
// Errors wrap ErrShape or ErrFormat.
func LoadPreparation(data []byte, inputs []flow.Type) (*Preparation, error) {
	var in Payload
	if err := in.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	var meta preparationMeta
	if err := in.GetMeta(&meta); err != nil {
		return nil, err
	}
	items := make([]Item, len(meta.Items))
	for i, st := range meta.Items {
		items[i] = st.Item
		for k, v := range st.Args {
			items[i].Args[k] = jsonArg(v)
		}
	}
	p, err := NewPreparation(items, inputs)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrShape, err)
	}
	for i, x := range p.items {
		if err := x.restore(&in, i, meta.Items[i].Levels); err != nil {
			return nil, err
		}
	}
	if err := p.relay(meta.Slots); err != nil {
		return nil, err
	}
	undone, err := in.Ints("undone", 1)
	if err != nil {
		return nil, err
	}
	p.undone = undone[0]
	return p, nil
}

// jsonArg restores the kind of literals that were encoded as JSON; an integer is valid for
// either kind of number.
func jsonArg(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = jsonArg(v[i])
		}
	}
	return v
}

func (x *item) restore(in *Payload, i int, names []string) error {
	if x.fill != nil {
		v, err := in.Floats(fmt.Sprintf("mean%d", i), -1)
		if err != nil {
			return err
		}
		if err := x.fill.restore(v); err != nil {
			return err
		}
	}
	if x.levels == nil {
		v, err := in.Floats(fmt.Sprintf("state%d", i), -1)
		if err != nil {
			return err
		}
		if len(v) == 0 {
			v = nil
		}
		return x.scaler.restore(v)
	}
	x.levels = NewLevels(names...)
	var err error
	if len(x.levels.Names) != len(names) {
		return fmt.Errorf("%w: feature %s has a level twice", ErrShape, x.Name)
	}
	x.counts, err = in.Floats(fmt.Sprintf("counts%d", i), len(names))
	return err
}

// relay restores the order of features, in which each number has one slot and each one-hot
// level at most one.
func (p *Preparation) relay(slots [][2]int) error {
	p.slots = p.slots[:0]
	for _, x := range p.items {
		if x.oneHot {
			x.slotOf = make([]int32, len(x.levels.Names))
			for k := range x.slotOf {
				x.slotOf[k] = -1
			}
		}
	}
	for _, s := range slots {
		if s[0] < 0 || s[0] >= len(p.items) || s[1] < 0 {
			return fmt.Errorf("%w: feature %v of no item", ErrShape, s)
		}
		if x := p.items[s[0]]; x.oneHot {
			if s[1] >= len(x.slotOf) || x.slotOf[s[1]] >= 0 {
				return fmt.Errorf("%w: feature %v of no level", ErrShape, s)
			}
			x.slotOf[s[1]] = int32(len(p.slots))
		}
		p.slots = append(p.slots, slot{s[0], s[1]})
	}
	return nil
}
