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

// reference says where a secret is: env:NAME or file:PATH. The secret itself stands in no file of configuration.
type reference struct {
	key string // what it is for
	at  string
	pos lang.Pos
}

// secretKeys are the keys whose values are references, as all of [secrets] are.
var secretKeys = []string{"kafka.sasl_password", "kafka.oauth_token", "server.token", "server.writer_token", "server.reader_token"}

func isSecret(key []string) bool {
	if key[0] == "env" {
		key = key[2:]
	}
	return key[0] == "secrets" || slices.Contains(secretKeys, strings.Join(key, "."))
}

// checkReference refuses a literal, without repeating it.
func checkReference(key string, s setting) error {
	text, _ := s.value.(string)
	for _, kind := range []string{"env:", "file:"} {
		if at, ok := strings.CutPrefix(text, kind); ok && at != "" {
			return nil
		}
	}
	return &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: s.pos, Msg: fmt.Sprintf("%s does not say where the secret is", key),
		Label: "a secret never stands in this file", Hint: "write \"env:NAME\" or \"file:PATH\""}
}

// largestSecret bounds what is read of a secret's file.
const largestSecret = 64 << 10

// read reads the secret anew. A file's last newline is not part of it. Errors name the place and the cure, never what was read.
func (r reference) read() (kafka.Secret, error) {
	fail := func(hint, text string, args ...any) error {
		return &streamql.Error{Code: "SQ1101", Stage: lang.StageParse, Pos: r.pos, Msg: fmt.Sprintf(text, args...), Hint: hint}
	}
	if name, ok := strings.CutPrefix(r.at, "env:"); ok {
		v := os.Getenv(name)
		if v == "" {
			return "", fail("export "+name+", or name another variable", "%s is in the environment's %s, which is not set", r.key, name)
		}
		return kafka.Secret(v), nil
	}
	path := beside(r.pos.File, strings.TrimPrefix(r.at, "file:"))
	f, err := os.Open(path)
	if err != nil {
		var p *os.PathError
		errors.As(err, &p)
		return "", fail("make it, or name another file", "%s is in file %s, which cannot be read: %v", r.key, path, p.Err)
	}
	defer f.Close()
	raw := make([]byte, largestSecret+1)
	n, _ := f.Read(raw)
	raw = bytes.TrimRight(raw[:n], "\r\n")
	if len(raw) == 0 || n > largestSecret {
		return "", fail("write the secret into it, and nothing else", "%s is in file %s, which is empty or too long", r.key, path)
	}
	return kafka.Secret(raw), nil
}
