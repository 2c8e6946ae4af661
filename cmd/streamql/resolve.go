package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// files resolves flags that neither the command line nor the environment sets, from the configuration files.
// It is a kong.Resolver. Errors are stored in err, because kong would drop their position.
type files struct {
	config config
	err    error
	read   bool
}

// Validate does nothing. The interface kong.Resolver requires it.
func (f *files) Validate(*kong.Application) error { return nil }

// notKeys contains the flags that files cannot set: they select the file, belong to one run, or are tables in
// files.
var notKeys = map[string]bool{"help": true, "config": true, "env": true, "connect": true, "define": true, "files": true,
	"version": true}

// Resolve returns the value of a flag.
func (f *files) Resolve(at *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.App == nil || notKeys[flag.Name] {
		return nil, nil
	}
	if !f.read {
		f.read = true
		given := map[string]string{}
		var keys []string
		for _, other := range at.Model.Flags {
			if text, ok := at.FlagValue(other).(string); ok {
				given[other.Name] = text
			}
			if !notKeys[other.Name] {
				keys = append(keys, keyOf(other))
			}
		}
		f.config, f.err = readConfig(given["config"], given["env"], keys)
	}
	s, ok := f.config[keyOf(flag)]
	if f.err != nil || !ok {
		return nil, nil
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	text, err := f.text(flag, s)
	if err != nil {
		f.err = &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: s.pos,
			Msg: fmt.Sprintf("key %q cannot have this value", keyOf(flag)), Label: err.Error(), Err: err}
		return nil, nil
	}
	return text, nil
}

func keyOf(flag *kong.Flag) string { return strings.ReplaceAll(flag.Name, "-", "_") }

// text returns a setting in the syntax of the command line. The members of a list are separated by commas. A
// path is relative to the directory of the configuration file.
func (f *files) text(flag *kong.Flag, s setting) (string, error) {
	var text string
	switch v := s.value.(type) {
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = fmt.Sprint(v[i])
		}
		text = strings.Join(words, ",")
	case map[string]any:
		return "", fmt.Errorf("expected a value")
	default:
		text = fmt.Sprint(v)
	}
	if (flag.Name == "dir" || flag.Name == "snapshots") && text != "" && !strings.Contains(text, "://") {
		text = beside(s.pos.File, text)
	}
	scan := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})
	if err := flag.Parse(scan, reflect.New(flag.Target.Type()).Elem()); err != nil {
		return "", err
	}
	return text, nil
}

// beside resolves a path relative to the directory of a file.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// definitions merges the file's [define] with the definitions of the command line, which have precedence.
func (f *files) definitions(given map[string]string) map[string]string {
	for key, s := range f.config {
		name, ok := strings.CutPrefix(key, "define.")
		if _, flag := given[name]; !ok || flag {
			continue
		}
		if given == nil {
			given = map[string]string{}
		}
		given[name] = fmt.Sprint(s.value)
	}
	return given
}
