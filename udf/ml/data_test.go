package ml

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
)

// table reads a CSV file of the data directory (STREAMQL_DATA, or shared/data next to the
// repository) as columns: numbers as DOUBLE, the named ones as STRING. Without the file the
// test is skipped.
func table(t testing.TB, name string, words ...string) (names []string, cols []arrow.Array, rows int) {
	dir := os.Getenv("STREAMQL_DATA")
	if dir == "" {
		dir = filepath.FromSlash("../../../shared/data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("data file %s is absent (set STREAMQL_DATA to its directory)", name)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names, records = records[0], records[1:]
	for c, column := range names {
		isWord := false
		for _, w := range words {
			isWord = isWord || w == column
		}
		values := make([]any, len(records))
		for r := range records {
			values[r] = records[r][c]
			if !isWord {
				if values[r], err = strconv.ParseFloat(records[r][c], 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		typ := flow.Double
		if isWord {
			typ = flow.String
		}
		cols = append(cols, flow.Column(typ, values...))
	}
	return names, cols, len(records)
}

func accept(t testing.TB, name string, given map[string]any) (Type, Spec) {
	typ, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	o, err := typ.Accept(given)
	if err != nil {
		t.Fatal(err)
	}
	return typ, Spec{Type: typ.Name, Options: o}
}

func typesOf(cols []arrow.Array) []flow.Type {
	out := make([]flow.Type, len(cols))
	for i := range cols {
		out[i] = cols[i].DataType()
	}
	return out
}

func slice(cols []arrow.Array, from, to int) []arrow.Array {
	out := make([]arrow.Array, len(cols))
	for i := range cols {
		out[i] = flow.Take(cols[i], span(from, to))
	}
	return out
}

func span(from, to int) []int32 {
	out := make([]int32, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, int32(i))
	}
	return out
}

// TestElectricity is prequential logistic regression with scaler and one-hot day on Elec2:
// no-change has 85.33 %.
func TestElectricity(t *testing.T) {
	names, cols, rows := table(t, "electricity.csv", "day", "class")
	n := len(names) - 1
	river := false // day as a number, as River reads it
	prequential := func(name string, chunk int) []Metric {
		typ, spec := accept(t, name, nil)
		spec.Mode = Event
		var items []Item
		for i := range n {
			items = append(items, Item{Input: i, Name: names[i]})
		}
		cols := append([]arrow.Array{}, cols...)
		if river {
			day, values := cols[1].(*array.String), make([]any, rows)
			for r := range values {
				values[r], _ = strconv.ParseFloat(day.Value(r), 64)
			}
			cols[1] = flow.Column(flow.Double, values...)
		}
		items = AutoItems(typ, items, typesOf(cols[:n]))
		p, err := NewPreparation(items, typesOf(cols[:n]))
		if err != nil {
			t.Fatal(err)
		}
		spec.Features = p.Features()
		l, err := typ.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		target := NewLevels("UP", "DOWN")
		e := NewEvaluator(Classify, 0, 0)
		var buf Buffers
		out, y := make([]float64, rows), make([]float64, rows)
		proba := Matrix{rows, [][]float64{make([]float64, rows), make([]float64, rows)}}
		codes := make([]int32, rows)
		if err := target.Codes(cols[n], codes); err != nil {
			t.Fatal(err)
		}
		for r, k := range codes {
			y[r] = float64(k)
		}
		for from := 0; from < rows; from += chunk {
			to := min(from+chunk, rows)
			old, now, _, err := p.Roll(slice(cols[:n], from, to), to-from, nil, nil, &buf)
			if err != nil {
				t.Fatal(err)
			}
			if err := Test(l, old, now, y[from:to], nil, out[from:to], proba.Slice(from, to)); err != nil {
				t.Fatal(err)
			}
		}
		e.Add(out, y, proba)
		return e.Metrics()
	}
	m := prequential("logistic_regression", 1024)
	t.Log(m)
	if a := metric(m, "accuracy"); a < 0.84 {
		t.Errorf("logistic regression: accuracy %v, want 0.842", a)
	}
	if got, want := fmt.Sprint(prequential("logistic_regression", 997)), fmt.Sprint(m); got != want {
		t.Errorf("cut into other batches:\n%s\n%s", got, want)
	}
	river = true
	if c := metric(prequential("logistic_regression", 4096), "correct"); c < 37941-10 || c > 37941+10 {
		t.Errorf("logistic regression with day as a number: %v rows correct, River has 37941", c)
	}
	river = false
	if c := metric(prequential("no_change", 4096), "correct"); c != 38665 {
		t.Errorf("no_change: %v rows correct, want 38665", c)
	}
	if c := metric(prequential("majority_class", 4096), "correct"); c != 26070 {
		t.Errorf("majority_class: %v rows correct, want 26070", c)
	}
}

func metric(ms []Metric, name string) float64 {
	for _, m := range ms {
		if m.Name == name {
			return m.Value
		}
	}
	return -1
}

// TestCars trains an autoencoder on healthy cars only and ranks all rows by its score: a
// failing engine vibrates at 150 times its speed instead of 100. A net cannot represent the
// ratio itself, so a derived feature provides it.
func TestCars(t *testing.T) {
	names, cols, rows := table(t, "car-sensor-data.csv", "car")
	column := func(name string) []float64 {
		for i := range names {
			if names[i] == name {
				out := make([]float64, rows)
				if err := numbers(cols[i], out); err != nil {
					t.Fatal(err)
				}
				return out
			}
		}
		t.Fatal(name)
		return nil
	}
	speed, vibration := column("speed"), column("engine_vibration_amplitude")
	ratio, failing := make([]any, rows), make([]bool, rows)
	var healthy []int32
	for r := range rows {
		v := vibration[r] / max(speed[r], 0.01)
		ratio[r], failing[r] = v, v >= 125
		if !failing[r] {
			healthy = append(healthy, int32(r))
		}
	}
	withRatio := append(append([]arrow.Array{}, cols...), flow.Column(flow.Double, ratio...))
	sensors := names[2:]
	for _, c := range []struct {
		what     string
		features []string
		want     float64
	}{
		{"18 sensors", sensors, 0.74},
		{"five sensors", []string{"speed", "engine_vibration_amplitude", "throttle_pos", "current_draw", "battery_voltage"}, 0.87},
		{"18 sensors and the ratio", append(append([]string{}, sensors...), "ratio"), 0.95},
	} {
		for _, seed := range []int64{1, 2, 3} {
			typ, spec := accept(t, "autoencoder", map[string]any{"layers": "14:tanh,7:tanh,7:tanh", "seed": seed})
			var items []Item
			for _, f := range c.features {
				for i, name := range append(append([]string{}, names...), "ratio") {
					if name == f {
						items = append(items, Item{Input: i, Name: f})
					}
				}
			}
			items = AutoItems(typ, items, typesOf(withRatio))
			p, err := NewPreparation(items, typesOf(withRatio))
			if err != nil {
				t.Fatal(err)
			}
			train := make([]arrow.Array, len(withRatio))
			for i := range train {
				train[i] = flow.Take(withRatio[i], healthy)
			}
			var buf Buffers
			if err := p.Fit(train, len(healthy), nil, nil, &buf); err != nil {
				t.Fatal(err)
			}
			p.Freeze()
			spec.Features = p.Features()
			l, err := typ.New(spec)
			if err != nil {
				t.Fatal(err)
			}
			x, _, err := p.Transform(train, len(healthy), &buf)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Learn(x, nil, nil); err != nil {
				t.Fatal(err)
			}
			passes := 0
			for again := true; again; passes++ {
				if again, err = l.(Passer).Pass(); err != nil {
					t.Fatal(err)
				}
			}
			all, _, err := p.Transform(withRatio, rows, &buf)
			if err != nil {
				t.Fatal(err)
			}
			out := make([]float64, rows)
			if err := l.Model().Predict(all, out); err != nil {
				t.Fatal(err)
			}
			a := AUC(out, failing)
			losses := l.(Loser).Losses()
			t.Logf(
				"%s, seed %d: AUC %.4f after %d passes, loss %.4f to %.4f",
				c.what,
				seed,
				a,
				passes,
				losses[0],
				losses[len(losses)-1],
			)
			if seed == 1 && a < c.want {
				t.Errorf("%s: AUC %.4f, want %v", c.what, a, c.want)
			}
		}
	}
}
