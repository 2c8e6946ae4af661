package ml

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

// trained returns a version of a type from 18 columns, the first of them with a NULL in row 1.
func trained(t testing.TB, name string, given map[string]any) (*Bundle, []arrow.Array) {
	const rows = 500
	cols, y := wide(rows)
	values := make([]any, rows)
	for r := range values {
		values[r] = cols[0].(*array.Float64).Value(r)
	}
	values[1] = nil
	cols[0] = flow.Column(flow.Double, values...)
	typ, spec := accept(t, name, given)
	p, buf, _ := prepared(t, typ, cols, rows)
	x, ok, err := p.Transform(cols, rows, buf)
	if err != nil || ok[1] || !ok[0] {
		t.Fatal(err, ok[:2])
	}
	spec.Features = p.Features()
	l, err := typ.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][2]int{{0, 1}, {2, rows}} {
		if err := l.Learn(x.Slice(part[0], part[1]), y[part[0]:part[1]], nil); err != nil {
			t.Fatal(err)
		}
	}
	if p, ok := l.(Passer); ok {
		for again := true; again; {
			if again, err = p.Pass(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := &Bundle{Spec: spec, Preparation: p, Model: l.Model()}
	for i, c := range cols {
		b.Inputs = append(b.Inputs, Input{fmt.Sprint("f", i), c.DataType()})
	}
	if typ.Task == Classify {
		b.Target, b.Classes = Input{"failed", flow.Boolean}, []string{"false", "true"}
	}
	if typ.Task == Anomaly || typ.Task == Cluster {
		if b.Threshold, b.HasThreshold, err = TrainingThreshold(typ, l, b.Model, spec.Options.Value("threshold")); err != nil ||
			!b.HasThreshold {
			t.Fatal(err, b.Threshold)
		}
	}
	return b, cols
}

func TestVersionThroughTopic(t *testing.T) {
	for _, name := range []string{"autoencoder", "logistic_regression", "softmax_regression", "kmeans", "majority_class"} {
		b, cols := trained(t, name, map[string]any{"threshold": "quantile:0.9"})
		records, m, err := Encode(
			b,
			Manifest{
				Model:    "m",
				ID:       "QX3",
				Version:  3,
				Parent:   2,
				ParentID: "QX2",
				Rows:     map[string]int64{"used": 499},
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		if string(records[0].Key) != "v/QX3/0000" || string(records[len(records)-1].Key) != "v/QX3/manifest" {
			t.Errorf("keys %s .. %s", records[0].Key, records[len(records)-1].Key)
		}
		if k, ok := ParseKey(records[0].Key); !ok || k != (Key{"QX3", 0}) {
			t.Errorf("%+v", k)
		}
		again, _, err := Encode(b, m)
		if err != nil || !bytes.Equal(again[0].Value, records[0].Value) ||
			!bytes.Equal(again[len(again)-1].Value, records[len(records)-1].Value) {
			t.Errorf("%s: encoded twice, the bytes differ: %v", name, err)
		}
		back, manifest, err := Decode(records)
		if err != nil {
			t.Fatal(name, err)
		}
		if manifest.ID != "QX3" || manifest.ParentID != "QX2" || manifest.Version != 0 || manifest.Parent != 0 {
			t.Errorf(
				"the manifest is of version %q, %d, after %q, %d",
				manifest.ID,
				manifest.Version,
				manifest.ParentID,
				manifest.Parent,
			)
		}
		if manifest.Rows["used"] != 499 || manifest.Type != name || manifest.Options.Int("max_rows") != 1_000_000 ||
			len(manifest.Features) != 18 {
			t.Errorf("%+v", manifest)
		}
		if a, b := everything(t, b, cols), everything(t, back, cols); a != b {
			t.Errorf("%s: before and after\n%s\n%s", name, a, b)
		}
	}
}

// everything returns all results of a version for the first three rows as text; the second row
// has a NULL.
func everything(t *testing.T, b *Bundle, cols []arrow.Array) string {
	s := b.NewScoring()
	var out []string
	for range 2 { // twice: buffers are reused
		if err := s.Read(slice(cols, 0, 3), 3); err != nil {
			t.Fatal(err)
		}
		if s.Missing() != 1 {
			t.Errorf("%d rows with a missing feature", s.Missing())
		}
		out = out[:0]
		for _, f := range []func() (arrow.Array, error){s.Predict, s.Proba, s.AnomalyScore, s.IsAnomaly, s.Cluster, s.Distance, s.Embed,
			func() (arrow.Array, error) { return s.Explain(2) }} {
			a, err := f()
			if errors.Is(err, ErrCannot) {
				out = append(out, "-")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Len() != 3 || a.IsValid(1) {
				t.Errorf("%s: %v", b.Spec.Type, a)
			}
			out = append(out, fmt.Sprint(flow.Value(a, 0), flow.Value(a, 2)))
		}
	}
	return strings.Join(out, "; ")
}

func TestScoringKinds(t *testing.T) {
	b, cols := trained(t, "autoencoder", map[string]any{"threshold": "quantile:0.9"})
	s := b.NewScoring()
	if err := s.Read(cols, 500); err != nil {
		t.Fatal(err)
	}
	flags, err := s.IsAnomaly()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r := range 500 {
		if flags.IsValid(r) && flags.(*array.Boolean).Value(r) {
			n++
		}
	}
	if n != 50 {
		t.Errorf("%d of 499 training rows are above the 0.9 quantile of their scores", n)
	}
	parts, err := s.Explain(18)
	if err != nil {
		t.Fatal(err)
	}
	score, _, _ := s.Raw()
	sum := 0.0
	for _, p := range flow.Value(parts, 0).([]any) {
		sum += p.([]any)[1].(float64)
	}
	if math.Abs(sum-score[0]) > 1e-9 {
		t.Errorf("parts sum to %v, the score is %v", sum, score[0])
	}
	b, cols = trained(t, "logistic_regression", nil)
	s = b.NewScoring()
	if err := s.Read(cols, 500); err != nil {
		t.Fatal(err)
	}
	p, err := s.Predict()
	if err != nil || p.DataType().ID() != arrow.BOOL || b.PredictType() != flow.Boolean {
		t.Fatal(err, p)
	}
	if _, err := s.AnomalyScore(); !errors.Is(err, ErrCannot) {
		t.Error(err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	b, _ := trained(t, "logistic_regression", nil)
	good, _, err := Encode(b, Manifest{Model: "m", ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	last := len(good) - 1
	edit := func(i int, f func(v []byte) []byte) []topic.Record {
		out := append([]topic.Record{}, good...)
		out[i].Value = f(bytes.Clone(out[i].Value))
		return out
	}
	replace := func(old, new string) func(v []byte) []byte {
		return func(v []byte) []byte { return bytes.Replace(v, []byte(old), []byte(new), 1) }
	}
	for _, c := range []struct {
		what    string
		records []topic.Record
		want    error
	}{
		{"a flipped bit", edit(0, func(v []byte) []byte { v[len(v)/2] ^= 1; return v }), ErrHash},
		{"a cut chunk", edit(0, func(v []byte) []byte { return v[:len(v)/2] }), ErrHash},
		{"a missing chunk", good[last:], ErrHash},
		{"no manifest", good[:last], ErrShape},
		{"another checksum", edit(last, replace(`"sha256":"`, `"sha256":"0`)), ErrHash},
		{"another length", edit(last, replace(`"bytes":`, `"bytes":1`)), ErrHash},
		{"a huge length", edit(last, replace(`"bytes":`, `"bytes":99999999`)), ErrShape},
		{"a newer format", edit(last, replace(`"format":1`, `"format":2`)), ErrFormat},
		{"another codec", edit(last, replace(`"zstd"`, `"lz9"`)), ErrFormat},
		{"no JSON", edit(last, func([]byte) []byte { return []byte("{") }), ErrShape},
	} {
		if _, _, err := Decode(c.records); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	for _, key := range []string{"default", "v/1/000", "v/1/00001", "v/00000001/x", "v/00000001", "v//0000", "v/1/a/0000", "v/1/-001", "alias/a", ""} {
		if k, ok := ParseKey([]byte(key)); ok {
			t.Errorf("%q is read as %+v", key, k)
		}
	}
}

// TestDamagedBundle: damage anywhere in a payload is refused by name or harmless, never a panic.
func TestDamagedBundle(t *testing.T) {
	for _, name := range []string{"autoencoder", "kmeans", "softmax_regression", "no_change"} {
		b, cols := trained(t, name, nil)
		good, err := b.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 1500 {
			bad := bytes.Clone(good)
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.IntN(256))
			}
			var x Bundle
			if err := x.UnmarshalBinary(bad); err == nil {
				s := x.NewScoring()
				if err := s.Read(slice(cols, 0, 3), 3); err == nil {
					_, _ = s.Predict()
					_, _ = s.Proba()
				}
			} else if !errors.Is(err, ErrShape) && !errors.Is(err, ErrFormat) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// FuzzPayload: any bytes are decoded or rejected with ErrShape or ErrFormat, and a decoded
// payload is encoded to the same bytes.
func FuzzPayload(f *testing.F) {
	for _, name := range []string{"logistic_regression", "kmeans"} {
		b, _ := trained(f, name, nil)
		data, err := b.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("SQML\x02\x00\x00\x00{}"))
	f.Add([]byte(`SQML` + "\x40\x00\x00\x00" + `{"format":1,"tensors":[{"name":"a","type":"f64","shape":[9,9]}]} `))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Payload
		if err := p.UnmarshalBinary(data); err != nil {
			if !errors.Is(err, ErrShape) && !errors.Is(err, ErrFormat) {
				t.Fatalf("%v", err)
			}
			return
		}
		var b Bundle
		if err := b.UnmarshalBinary(data); err != nil && !errors.Is(err, ErrShape) && !errors.Is(err, ErrFormat) {
			t.Fatalf("%v", err)
		}
		if out, err := p.MarshalBinary(); err == nil {
			var again Payload
			if err := again.UnmarshalBinary(out); err != nil || len(again.tensors) != len(p.tensors) {
				t.Fatalf("written and read again: %v", err)
			}
		}
	})
}
