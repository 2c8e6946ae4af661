package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// setting is a value of a configuration file and the position of its key.
type setting struct {
	value any // nil: the header of a table
	pos   lang.Pos
}

// config contains the settings of the configuration files. A key is dotted: "limit", "kafka.tls",
// "env.prod.kafka.tls".
type config map[string]setting

// tables contains the tables of a file, except [env.NAME], and the keys of each; nil: any key.
var tables = map[string][]string{
	"kafka": {"tls", "ca_file", "cert_file", "key_file", "server_name", "insecure", "sasl_mechanism", "sasl_user",
		"sasl_password", "oauth_token",
		"replication", "retention_ms", "session_timeout", "transaction_timeout"},
	"server":  {"cert_file", "key_file", "token", "writer_token", "reader_token"},
	"files":   {"roots"},
	"secrets": nil,
	"define":  nil,
}

// projectFile is the name of the configuration file in the working directory.
const projectFile = "streamql.toml"

// readConfig reads the user's file and then the project's, whose settings override the user's. In each file,
// the settings of [env.NAME] override the top level. flags are the valid keys of the top level. If path is
// not empty, it replaces the project's file. Errors are SQ1101 with file and line.
func readConfig(path, env string, flags []string) (config, error) {
	out, envs := config{}, []string{}
	files := []string{userFile(), path}
	if path == "" {
		files[1] = projectFile
	}
	for i, name := range files {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) && (i == 0 || path == "") {
			continue
		}
		if err != nil {
			return nil, usage(plainPath(err))
		}
		c, err := parseConfig(name, text, flags)
		if err != nil {
			return nil, err
		}
		out.put(c, "")
		out.put(c, "env."+env+".")
		envs = append(envs, c.envs()...)
	}
	if env != "" && !slices.Contains(envs, env) {
		err := &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Msg: fmt.Sprintf("[env.%s] does not exist in %s",
			env, files[1])}
		if near := lang.Suggest(env, envs); near != "" {
			err.Hint = "did you mean --env " + near + "?"
		}
		return nil, err
	}
	return out, nil
}

// userFile returns the path of the user's configuration file; empty if the user has no home directory.
func userFile() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "streamql", "config.toml")
}

// put copies the settings of from below a prefix. The prefix "" selects the top level without its
// environments.
func (c config) put(from config, prefix string) {
	for key, s := range from {
		if rest, ok := strings.CutPrefix(key, prefix); ok && s.value != nil && !strings.HasPrefix(rest, "env.") {
			c[rest] = s
		}
	}
}

// envs returns the names of the environments.
func (c config) envs() []string {
	names := map[string]bool{}
	for key := range c {
		if rest, ok := strings.CutPrefix(key, "env."); ok {
			name, _, _ := strings.Cut(rest, ".")
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// parseConfig reads one file and rejects unknown keys. No error quotes a value, because it may be a secret
// under a wrong key.
func parseConfig(file string, text []byte, flags []string) (config, error) {
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		e := &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Msg: "the file is not valid TOML", Err: err,
			Pos: lang.Pos{File: file, Line: 1, Col: 1}}
		var d *toml.DecodeError
		if errors.As(err, &d) {
			e.Pos.Line, e.Pos.Col = d.Position()
			e.Label = strings.TrimPrefix(d.Error(), "toml: ")
		}
		return nil, e
	}
	out := config{}
	p := unstable.Parser{}
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		var err error
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			if table = keyParts(e); e.Kind == unstable.ArrayTable {
				return nil, misplaced(lang.Pos{File: file, Line: p.Shape(e.Child().Raw).Start.Line, Col: 1},
					strings.Join(table, "."), "lists of tables are not supported")
			}
			err = out.add(&p, file, e, table, nil, flags)
		case unstable.KeyValue:
			err = out.add(&p, file, e, append(slices.Clone(table), keyParts(e)...), values, flags)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, p.Error()
}

// add checks a key and stores its value. An inline table adds its keys.
func (c config) add(p *unstable.Parser, file string, e *unstable.Node, key []string, values map[string]any,
	flags []string) error {
	at := e.Key()
	at.Next()
	start := p.Shape(at.Node().Raw).Start
	s := setting{pos: lang.Pos{File: file, Line: start.Line, Col: start.Column}}
	isTable := e.Kind != unstable.KeyValue || e.Value().Kind == unstable.InlineTable
	if err := legal(key, isTable, s.pos, flags); err != nil {
		return err
	}
	if e.Kind == unstable.KeyValue && isTable {
		for it := e.Value().Children(); it.Next(); {
			if err := c.add(p, file, it.Node(), append(slices.Clone(key), keyParts(it.Node())...), values, flags); err != nil {
				return err
			}
		}
	}
	if !isTable {
		var v any = values
		for _, part := range key {
			v = v.(map[string]any)[part]
		}
		s.value = v
		if isSecret(key) {
			if err := checkReference(strings.Join(key, "."), s); err != nil {
				return err
			}
		}
	}
	c[strings.Join(key, ".")] = s
	return nil
}

func keyParts(e *unstable.Node) (out []string) {
	for it := e.Key(); it.Next(); {
		out = append(out, string(it.Node().Data))
	}
	return out
}

// legal rejects an unknown key and suggests the nearest valid one.
func legal(key []string, isTable bool, pos lang.Pos, flags []string) error {
	words := append(slices.Sorted(maps.Keys(tables)), flags...)
	full := strings.Join(key, ".")
	if key[0] == "env" {
		if len(key) < 3 {
			if isTable {
				return nil
			}
			return misplaced(pos, full, "env contains tables: [env.NAME]")
		}
		key = key[2:]
	} else {
		words = append(words, "env")
	}
	under, known := tables[key[0]]
	switch {
	case !known && !slices.Contains(flags, key[0]):
		return unknownKey(pos, full, key[0], words)
	case !known && (isTable || len(key) > 1):
		return misplaced(pos, full, key[0]+" is a value, not a table")
	case known && len(key) == 1 && !isTable:
		return misplaced(pos, full, "it is a table: ["+key[0]+"]")
	case known && under != nil && len(key) > 1 && !slices.Contains(under, key[1]):
		return unknownKey(pos, full, key[1], under)
	case known && (len(key) > 2 || len(key) == 2 && isTable):
		return misplaced(pos, full, "["+key[0]+"] contains values, not tables")
	}
	return nil
}

func unknownKey(pos lang.Pos, full, word string, words []string) error {
	e := &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: pos, Msg: fmt.Sprintf("unknown key %q", full)}
	if near := lang.Suggest(word, words); near != "" {
		e.Label = "did you mean " + near + "?"
	} else {
		e.Hint = "there are " + strings.Join(words, ", ")
	}
	return e
}

func misplaced(pos lang.Pos, full, why string) error {
	return &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: pos,
		Msg: fmt.Sprintf("key %q belongs in another table", full), Label: why}
}
