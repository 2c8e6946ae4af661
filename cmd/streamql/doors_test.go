package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRoots reads files below the working directory, and below those that the configuration names.
func TestRoots(t *testing.T) {
	dir := folder(t, "", "")
	shared := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "here.csv"), filepath.Join(shared, "there.csv")} {
		if err := os.WriteFile(path, []byte("a\n1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		got := invoke(t, "", "-q", "-c", "CREATE STREAM f (a INT) WITH (connector='files', path='"+path+
			"'); SELECT a FROM f;")
		return got.out + got.err
	}
	if got := read("here.csv"); got != "{\"a\":1}\n" {
		t.Errorf("in the working directory: %s", got)
	}
	if got := read(filepath.Join(shared, "there.csv")); !strings.Contains(got, "SQ7105") {
		t.Errorf("elsewhere: %s", got)
	}
	if err := os.WriteFile(projectFile, []byte("[files]\nroots = [\""+shared+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"there.csv", filepath.Join(shared, "there.csv"), "here.csv"} {
		if got := read(path); got != "{\"a\":1}\n" {
			t.Errorf("%s, with roots: %s", path, got)
		}
	}
	if err := os.WriteFile(projectFile, []byte("[files]\nroots = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read("here.csv"); !strings.Contains(got, "streamql.toml:2") || !strings.Contains(got, "a list of paths") {
		t.Errorf("roots that are no list: %s", got)
	}
}

// TestTokens checks that roles without an admin, and two roles with one token, are rejected.
func TestTokens(t *testing.T) {
	folder(t, "", "")
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(name, []byte(name+canary), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for config, want := range map[string]string{
		"writer_token = \"file:a\"":                             "server.writer_token requires server.token",
		"reader_token = \"file:a\"":                             "server.reader_token requires server.token",
		"token = \"file:a\"\nreader_token = \"file:a\"":         "two roles of [server] have the same token",
		"token = \"file:a\"\nwriter_token = \"file:a\"":         "two roles of [server] have the same token",
		"token = \"file:a\"\nreader_token = \"" + canary + "\"": "must refer to a secret",
	} {
		if err := os.WriteFile(projectFile, []byte("[server]\n"+config+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got := invoke(t, "SELECT 1;", "run", "-", "--http", "127.0.0.1:0")
		if got.code != 2 || !strings.Contains(got.err, want) || strings.Contains(got.err, canary) {
			t.Errorf("%s: exit %d, %s", config, got.code, got.err)
		}
	}
}
