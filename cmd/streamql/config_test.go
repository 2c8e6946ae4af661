package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder returns a working directory with a streamql.toml, and a user's configuration directory with a
// config.toml.
func folder(t *testing.T, project, user string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "home"))
	if err := os.MkdirAll(filepath.Join(dir, "home", "streamql"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{projectFile: project, "home/streamql/config.toml": user} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// flags returns the flags that a command line and the configuration files result in.
func flags(args ...string) (*global, error) {
	var c cli
	parser, err := newParser(&c)
	if err != nil {
		return nil, err
	}
	if _, err = parser.Parse(append(args, "version")); err == nil {
		err = c.files.err
	}
	c.Define = c.files.definitions(c.Define)
	return &c.global, err
}

func TestPrecedence(t *testing.T) {
	dir := folder(t, `
limit = 3
output = "csv"
commit_interval = "100ms"
dir = "data"
state_memory = "2MiB"
brokers = ["a:1", "b:2"]
define = { n = "file", m = 7 }
[env.prod]
limit = 4
brokers = "c:3"
`, "limit = 1\nname = \"mine\"\nquiet = true\n[env.test]\nlimit = 9\n")
	show := func(g *global) string {
		return strings.TrimSpace(fmt.Sprintln(g.Limit, g.Output, g.Name, g.CommitInterval, g.Quiet, g.Brokers,
			int64(g.StateMemory), g.Define["n"], g.Define["m"]))
	}
	for _, c := range []struct {
		args []string
		env  string
		want string
	}{
		{nil, "", "3 csv mine 100ms true a:1,b:2 2097152 file 7"},
		{[]string{"-e", "prod"}, "", "4 csv mine 100ms true c:3 2097152 file 7"},
		// the project's file overrides the user's
		{[]string{"-e", "test"}, "", "3 csv mine 100ms true a:1,b:2 2097152 file 7"},
		{nil, "5", "5 csv mine 100ms true a:1,b:2 2097152 file 7"},
		{[]string{"--limit", "6", "--name", "x", "-d", "n=flag"}, "5", "6 csv x 100ms true a:1,b:2 2097152 flag 7"},
	} {
		t.Setenv("STREAMQL_LIMIT", c.env)
		if c.env == "" {
			os.Unsetenv("STREAMQL_LIMIT")
		}
		g, err := flags(c.args...)
		if err != nil || show(g) != c.want {
			t.Errorf("%v: got %s, want %s; %v", c.args, show(g), c.want, err)
		}
	}
	os.Unsetenv("STREAMQL_LIMIT")
	other := filepath.Join(dir, "other", "o.toml")
	if err := os.MkdirAll(filepath.Dir(other), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, []byte("dir = \"d\"\nsnapshots = \"file:///s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := flags("--config", other)
	if err != nil || g.Dir != filepath.Join(dir, "other", "d") || g.Snapshots != "file:///s" || g.Limit != 1 {
		t.Errorf("--config: dir %s, snapshots %s, limit %d, %v", g.Dir, g.Snapshots, g.Limit, err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"limt = 3\n", `SQ1101: unknown key "limt": did you mean limit? (streamql.toml:1:1)`},
		{"\n  commit-interval = \"1s\"\n", `did you mean commit_interval? (streamql.toml:2:3)`},
		{"[kafak]\n", `unknown key "kafak": did you mean kafka? (streamql.toml:1:2)`},
		{"[env.prod.kafka]\ntsl = true\n", `unknown key "env.prod.kafka.tsl": did you mean tls? (streamql.toml:2:1)`},
		{"[env]\nprod = 3\n", `env contains tables`},
		{"kafka = 3\n", `it is a table: [kafka]`},
		{"[limit]\nx = 3\n", `limit is a value, not a table`},
		{"[kafka.tls]\nx = 3\n", `[kafka] contains values`},
		{"[[kafka]]\n", `lists of tables are not supported`},
		{"limit = \"many\"\n", `expected a valid 64 bit int but got "many" (streamql.toml:1:1)`},
		{"commit_interval = 3\n", `key "commit_interval" cannot have this value`},
		{"state_memory = \"3 MB\"\n", `"3 MB" is not a size: write it as 512MiB`},
		{"limit = \n", `the file is not valid TOML`},
		{"limit = 1\nlimit = 2\n", `the file is not valid TOML`},
		{"config = \"x\"\n", `unknown key "config"`},
		{"[env.dev]\n", `[env.prod] does not exist in streamql.toml`},
	} {
		folder(t, c.text, "")
		var args []string
		if strings.Contains(c.want, "[env.prod] does") {
			args = []string{"--env", "prod"}
		}
		_, err := flags(args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := flags("--config", "none.toml"); err == nil || !strings.Contains(err.Error(), "cannot read none.toml") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestKafkaConfig(t *testing.T) {
	for _, c := range []struct {
		name, brokers, text string
		want                string // in the error; empty: there is no error
	}{
		{"plain", "h1:9092, h2", "", ""},
		{"an IPv6 address", "[::1]:9092", "", ""},
		{"no port number", "h:x", "", `--brokers: "h:x" is not HOST:PORT`},
		{"an empty address", "h,", "", "an address is empty"},
		{"TLS", "h:1", "tls = true\nca_file = \"ca.pem\"\ncert_file = \"ca.pem\"\nkey_file = \"ca.key\"\nserver_name = \"k\"", ""},
		{"insecure", "h:1", "tls = true\ninsecure = true", ""},
		{"insecure without TLS", "h:1", "insecure = true", "kafka.insecure requires TLS, which is off"},
		{"no such authority", "h:1", "tls = true\nca_file = \"none.pem\"",
			"cannot read none.pem: no such file or directory"},
		{"no certificate", "h:1", "tls = true\nca_file = \"ca.key\"", "contains no PEM certificate"},
		{"a key alone", "h:1", "tls = true\nkey_file = \"ca.key\"", "both"},
		{"SCRAM", "h:1", "sasl_mechanism = \"scram-sha-512\"\nsasl_user = \"u\"\nsasl_password = \"env:CANARY\"", ""},
		{"a password in a file", "h:1",
			"sasl_mechanism = \"SCRAM-SHA-256\"\nsasl_user = \"u\"\nsasl_password = \"file:pw\"", ""},
		{"a literal", "h:1", "sasl_mechanism = \"SCRAM-SHA-256\"\nsasl_user = \"u\"\nsasl_password = \"" + canary + "\"",
			"this file must not contain secrets"},
		{"a literal that is no text", "h:1", "sasl_password = 12345", "this file must not contain secrets"},
		{"no such variable", "h:1", "sasl_mechanism = \"SCRAM-SHA-256\"\nsasl_user = \"u\"\nsasl_password = \"env:NONE\"",
			"kafka.sasl_password refers to the environment variable NONE, which is not set"},
		{"no such file", "h:1", "sasl_mechanism = \"SCRAM-SHA-256\"\nsasl_user = \"u\"\nsasl_password = \"file:none\"",
			"none, which cannot be read"},
		{"no password", "h:1", "sasl_mechanism = \"PLAIN\"\nsasl_user = \"u\"",
			"PLAIN requires a sasl_user and a sasl_password"},
		{"no mechanism", "h:1", "sasl_user = \"u\"", "kafka.sasl_user requires a sasl_mechanism"},
		{"no such mechanism", "h:1", "sasl_mechanism = \"SCRAM-SHA-255\"", "unknown sasl_mechanism"},
		{"PLAIN in the open", "h:1", "sasl_mechanism = \"PLAIN\"\nsasl_user = \"u\"\nsasl_password = \"env:CANARY\"",
			"would send the secret in plain text to h"},
		{"PLAIN on loopback", "localhost:1",
			"sasl_mechanism = \"PLAIN\"\nsasl_user = \"u\"\nsasl_password = \"env:CANARY\"", ""},
		{"PLAIN over TLS", "h:1", "tls = true\nsasl_mechanism = \"PLAIN\"\nsasl_user = \"u\"\nsasl_password = \"env:CANARY\"", ""},
		{"OAUTHBEARER", "h:1", "tls = true\nsasl_mechanism = \"OAUTHBEARER\"\noauth_token = \"file:pw\"", ""},
		{"no token", "h:1", "sasl_mechanism = \"OAUTHBEARER\"", "OAUTHBEARER requires an oauth_token"},
		{"a truth in quotes", "h:1", "tls = \"yes\"", "kafka.tls must be true or false"},
		{"a time without a unit", "h:1", "session_timeout = \"6\"", "kafka.session_timeout must be a duration from"},
		{"a time that is too short", "h:1", "transaction_timeout = \"1ms\"", "kafka.transaction_timeout must be a duration from"},
		{"no retention", "h:1", "retention_ms = 0", "kafka.retention_ms must be a whole number from -1"},
		{"too many copies", "h:1", "replication = 99999", "kafka.replication must be a whole number from -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, "[kafka]\n"+c.text+"\n", "")
			certificate(t, dir)
			t.Setenv("CANARY", canary)
			g, err := flags("--brokers", c.brokers)
			shown := fmt.Sprintf("%v %+v %#v", g, g.files.config, g.files.config)
			if err == nil {
				k, kerr := g.kafka()
				err = kerr
				shown += fmt.Sprintf("%v %+v %#v", k, k, k)
				if k.SASL != nil {
					shown += fmt.Sprintf("%v %+v %#v", *k.SASL, *k.SASL, *k.SASL)
					text, _ := json.Marshal(k.SASL.Password)
					shown += string(text)
				}
				if c.want == "" && err == nil && k.SASL != nil && k.SASL.Token == nil && string(k.SASL.Password) != canary {
					t.Errorf("the password is not what it should be")
				}
			}
			if err != nil {
				shown += fmt.Sprintf("%v %+v %#v", err, err, err)
				text, _ := json.Marshal(err)
				shown += string(text)
			}
			if strings.Contains(shown, canary) {
				t.Errorf("the secret is shown: %s", shown)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestKafkaNumbers: the numbers and durations of the file are those of the connection.
func TestKafkaNumbers(t *testing.T) {
	folder(t, "[kafka]\nreplication = 2\nretention_ms = -1\nsession_timeout = \"7s\"\ntransaction_timeout = \"8s\"\n", "")
	g, err := flags("--brokers", "h:1")
	if err != nil {
		t.Fatal(err)
	}
	k, err := g.kafka()
	if err != nil || k.Replication != 2 || k.RetentionMs != -1 || k.SessionTimeout != 7*time.Second ||
		k.TransactionTimeout != 8*time.Second {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestTokenIsReadAnew changes the token's file between two logins.
func TestTokenIsReadAnew(t *testing.T) {
	dir := folder(t, "[kafka]\nsasl_mechanism = \"OAUTHBEARER\"\noauth_token = \"file:token\"\n", "")
	g, err := flags("--brokers", "localhost:1")
	if err != nil {
		t.Fatal(err)
	}
	k, err := g.kafka()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.SASL.Token(context.Background()); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("before there is a file: %v", err)
	}
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := k.SASL.Token(context.Background()); string(got) != want || err != nil {
			t.Errorf("got another token than %s, %v", want, err)
		}
	}
}

const canary = "canary-314159"

// certificate writes a certificate and its key, and a file with the canary.
func certificate(t *testing.T, dir string) {
	t.Helper()
	cert, key := selfSigned(t, time.Hour)
	for name, text := range map[string][]byte{"ca.pem": cert, "ca.key": key, "pw": []byte(canary + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManualConfig reads the configuration examples of the manual.
func TestManualConfig(t *testing.T) {
	for _, page := range []string{"kafka", "http"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page+".md"))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```toml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s has no example", page)
		}
		for _, b := range blocks {
			b, _, _ = strings.Cut(b, "```")
			if _, err := parseConfig(page+".md", []byte(b), []string{"name", "dir", "brokers", "commit_interval",
				"http"}); err != nil {
				t.Errorf("%v in\n%s", err, b)
			}
		}
	}
}
