package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic/kafka"
)

// reference is the location of a secret: env:NAME or file:PATH. Configuration files do not contain secrets.
type reference struct {
	key string // the configuration key of the secret
	at  string
	pos lang.Pos
}

// secretKeys contains the keys whose values are references, in addition to all of [secrets].
var secretKeys = []string{"kafka.sasl_password", "kafka.oauth_token", "server.token", "server.writer_token",
	"server.reader_token"}

func isSecret(key []string) bool {
	if key[0] == "env" {
		key = key[2:]
	}
	return key[0] == "secrets" || slices.Contains(secretKeys, strings.Join(key, "."))
}

// checkReference rejects a literal, without quoting it.
func checkReference(key string, s setting) error {
	text, _ := s.value.(string)
	for _, kind := range []string{"env:", "file:"} {
		if at, ok := strings.CutPrefix(text, kind); ok && at != "" {
			return nil
		}
	}
	return &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: s.pos,
		Msg:   fmt.Sprintf("%s must refer to a secret", key),
		Label: "this file must not contain secrets", Hint: "write \"env:NAME\" or \"file:PATH\""}
}

// largestSecret is the maximum size of a secret's file.
const largestSecret = 64 << 10

// read reads the secret at each call, without the final newline of a file. Errors state the location and the
// cure, and never quote the secret.
func (r reference) read() (kafka.Secret, error) {
	fail := func(hint, text string, args ...any) error {
		return &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: r.pos, Msg: fmt.Sprintf(text, args...),
			Hint: hint}
	}
	if name, ok := strings.CutPrefix(r.at, "env:"); ok {
		v := os.Getenv(name)
		if v == "" {
			return "", fail("export "+name+", or refer to another variable",
				"%s refers to the environment variable %s, which is not set", r.key, name)
		}
		return kafka.Secret(v), nil
	}
	path := beside(r.pos.File, strings.TrimPrefix(r.at, "file:"))
	f, err := os.Open(path)
	if err != nil {
		var p *os.PathError
		errors.As(err, &p)
		return "", fail("create it, or refer to another file", "%s refers to file %s, which cannot be read: %v", r.key,
			path, p.Err)
	}
	defer f.Close()
	raw := make([]byte, largestSecret+1)
	n, _ := f.Read(raw)
	raw = bytes.TrimRight(raw[:n], "\r\n")
	if len(raw) == 0 || n > largestSecret {
		return "", fail("write only the secret into it", "%s refers to file %s, which is empty or too long", r.key, path)
	}
	return kafka.Secret(raw), nil
}
