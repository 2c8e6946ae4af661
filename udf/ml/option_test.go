package ml

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

func TestOptions(t *testing.T) {
	typ, err := Lookup("AUTOENCODER")
	if err != nil {
		t.Fatal(err)
	}
	o, err := typ.Accept(
		map[string]any{
			"TYPE":          "autoencoder",
			"LR":            int64(1),
			"epochs":        5.0,
			"Shuffle":       false,
			"optimizer":     "SGD",
			"threshold":     "quantile:0.9",
			"classes":       []any{"a", int64(2)},
			"keep_versions": "ALL",
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if o.Float("lr") != 1 || o.Int("epochs") != 5 || o.Bool("shuffle") || o.Text("optimizer") != "sgd" || o.Int("batch_size") != 100 ||
		o.Text("threshold") != "quantile:0.9" || o.Has("pin") ||
		o.Int("seed") != 1 ||
		o.Value("keep_versions") != "all" {
		t.Errorf("%+v", o)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var back Options
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(o, back) {
		t.Errorf("through JSON: %v\n%+v\n%+v", err, o, back)
	}
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		{"epoch", int64(1), "option epoch: type autoencoder has no such option; did you mean epochs?"},
		{"nonsense", int64(1), "option nonsense: type autoencoder has no such option"},
		{"lr", 0.0, "option lr: 0 is out of range: more than 0 to 100"},
		{"lr", "x", "option lr: must be a number, not 'x'"},
		{"epochs", 1.5, "option epochs: must be a whole number, not 1.5"},
		{"epochs", int64(0), "option epochs: 0 is out of range: 1 to 100000"},
		{"shuffle", "yes", "option shuffle: must be true or false, not 'yes'"},
		{"optimizer", "adm", "option optimizer: must be one of 'adam', 'sgd', not 'adm'; did you mean adam?"},
		{"threshold", "quantile:2", "option threshold: must be 'quantile:q' with q from 0 to 1, not 'quantile:2'"},
		{"threshold", true, "option threshold: must be 'quantile:q', a number or 'none', not true"},
		{"classes", "a", "option classes: must be an ARRAY, not 'a'"},
		{"layers", int64(3), "option layers: must be a string, not 3"},
		{"rng", nil, "option rng: must be a string, not <nil>"},
	} {
		_, err := typ.Accept(map[string]any{c.name: c.v})
		var option *OptionError
		if !errors.As(err, &option) || err.Error() != c.want {
			t.Errorf("%s = %v: %v, want %s", c.name, c.v, err, c.want)
		}
	}
	if _, err := Lookup("kmean"); err == nil || err.(*OptionError).Nearest != "kmeans" {
		t.Error(err)
	}
}

func TestLayers(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"14:tanh, 7:RELU", "14:tanh,7:relu,18:linear"},
		{"7", "7:linear,18:linear"},
		{"7:tanh,18:relu", "7:tanh,18:relu"},
		{"", "18:linear"},
		{"0:tanh", `layers do not fit: layer 1: "0:tanh" is not units:activation with 1 to 16384 units`},
		{"7:tanh,", `layers do not fit: layer 2: "" is not units:activation with 1 to 16384 units`},
		{"7:swish", `layers do not fit: layer 1: there is no activation "swish"; there are linear, relu, tanh, sigmoid and softmax`},
		{"16384,16384,16384", "layers do not fit: 4 layers with 537509906 parameters are over the limit of 64 and 67108864"},
	} {
		layers, err := parseLayers(c.text, 18, 18, 0)
		got := layersText(layers)
		if err != nil {
			got = err.Error()
			var layer *LayersError
			if !errors.As(err, &layer) {
				t.Errorf("%q: %T", c.text, err)
			}
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
	typ, spec := accept(t, "autoencoder", nil)
	if err := typ.Check(spec); err == nil {
		t.Error("a net without features is made")
	}
}
