package planner

import (
	"errors"
	"strconv"
	"strings"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/udf/ml"
)

func (b *binder) modelType(st *lang.CreateModel, t *Training) (ml.Type, error) {
	given := map[string]any{}
	where := map[string]*lang.Setting{}
	for _, s := range st.With {
		v, err := optionValue(s.Value)
		if err != nil {
			return ml.Type{}, err
		}
		name := strings.ToLower(s.Name.Text)
		given[name], where[name] = v, s
	}
	name, ok := given["type"].(string)
	if !ok {
		return ml.Type{}, fail(st, "SQ6009", "WITH needs the model's type, e.g. WITH (type='autoencoder')")
	}
	typ, err := ml.Lookup(name)
	if err == nil {
		t.Type = typ.Name
		t.Options, err = typ.Accept(given)
	}
	if err == nil {
		for name, only := range map[string]any{"store": "versions", "pin": false} {
			if s, given := where[name]; given && t.Options.Value(name) != only {
				return typ, unsupported(s, "option "+name)
			}
		}
	}
	return typ, optionError(st, where, err)
}

// optionError returns the error about an option with the option's position.
func optionError(st *lang.CreateModel, where map[string]*lang.Setting, err error) error {
	if err == nil {
		return nil
	}
	var at lang.Node = st
	code, label, hint := "SQ6009", "", ""
	var option *ml.OptionError
	var layers *ml.LayersError
	switch {
	case errors.As(err, &option):
		if s, ok := where[strings.ToLower(option.Option)]; ok {
			at = s
		}
		if option.Nearest != "" {
			label = "did you mean " + option.Nearest + "?"
		}
		if len(option.Legal) > 0 {
			hint = "the names are " + strings.Join(option.Legal, ", ")
		}
	case errors.As(err, &layers):
		code = "SQ6010"
		if s, ok := where["layers"]; ok {
			at = s
		}
	}
	e := fail(at, code, "%s", err.Error())
	e.Label, e.Hint, e.Err = label, hint, err
	return e
}

// optionValue returns the value of a literal as package ml expects it.
func optionValue(e lang.Expr) (any, error) {
	switch e := e.(type) {
	case *lang.Text:
		return e.Value, nil
	case *lang.Bool:
		return e.Value, nil
	case *lang.Number:
		if n, err := strconv.ParseInt(e.Text, 10, 64); err == nil {
			return n, nil
		}
		f, err := strconv.ParseFloat(e.Text, 64)
		if err != nil {
			return nil, fail(e, "SQ2010", "%s is out of range", e.Text)
		}
		return f, nil
	case *lang.Unary:
		v, err := optionValue(e.X)
		switch n := v.(type) {
		case int64:
			if e.Op == "-" {
				n = -n
			}
			return n, err
		case float64:
			if e.Op == "-" {
				n = -n
			}
			return n, err
		}
		return v, err
	case *lang.ArrayLit:
		out := []any{}
		for _, x := range e.Items {
			v, err := optionValue(x)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	return nil, fail(e, "SQ6009", "the value of an option must be a literal")
}
