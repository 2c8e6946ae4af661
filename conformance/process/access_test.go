package process

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// secured is a Kafka with users and ACLs.
type secured struct {
	t   *testing.T
	dir string
	at  map[string]string // HOST:PORT by listener
}

func startSecured(t *testing.T) *secured {
	dir, out := startKafka(t, "start-secure")
	k := &secured{t, dir, map[string]string{}}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		name, at, _ := strings.Cut(line, " ")
		k.at[name] = at
	}
	return k
}

// site returns an application whose processes use a listener. Its plain clients have the administrator's
// credentials.
func (k *secured) site(t *testing.T, listener, config string) *site {
	s := newSite(t, k.at[listener])
	s.opts = []kgo.Opt{kgo.SeedBrokers(k.at["PLAINTEXT"])}
	s.file("streamql.toml", settings+config)
	return s
}

func (k *secured) tls(name string) string { return filepath.Join(k.dir, "tls", name) }

// canaries are secrets that must not appear anywhere.
var canaries = []string{"alice-secret", "bob-secret", "canary-http-token"}

// nowhere searches the output of the processes, their directories, and every topic of the cluster for
// secrets.
func (s *site) nowhere(more ...string) {
	s.t.Helper()
	secrets := append(append([]string{}, canaries...), more...)
	found := map[string]bool{} // texts that must be found, to detect a search that does not search
	look := func(kind, where, text string) {
		found[kind] = found[kind] || strings.Contains(text, "CREATE TABLE IF NOT EXISTS sums")
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				s.t.Errorf("%s contains a secret", where)
			}
		}
	}
	places := 0
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".secret") {
			return err
		}
		text, err := os.ReadFile(path)
		look("a file", path, string(text))
		places++
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	list, err := kadm.NewClient(s.client()).ListTopics(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	list.FilterInternal()
	records := 0
	err = s.all(ctx, list.Names(), func(r *kgo.Record) {
		text := string(r.Key) + string(r.Value)
		for _, h := range r.Headers {
			text += h.Key + string(h.Value)
		}
		look("a topic", "topic "+r.Topic, text)
		records++
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if places < 5 || records < 10 || !found["a file"] || !found["a topic"] {
		s.t.Errorf("only %d files and %d records were searched, and the expected texts were found in %v", places, records,
			found)
	}
}

// TestAccess runs processes with exactly the ACLs that docs/kafka.md lists, over TLS with a SCRAM login, and
// kills them a few times.
func TestAccess(t *testing.T) {
	k := startSecured(t)
	s := k.site(t, "SASL_SSL", fmt.Sprintf("tls = true\nca_file = %q\nsasl_mechanism = \"SCRAM-SHA-512\"\nsasl_user = \"alice\"\nsasl_password = \"file:alice.secret\"\n[server]\ntoken = \"file:http.secret\"\n", k.tls("ca.pem")))
	s.file("alice.secret", "alice-secret\n")
	s.file("http.secret", "canary-http-token\n")
	w := s.workload(4)
	must(t, "acls", k.dir, "alice", s.name)
	procs := []*proc{s.run("a", w.sql, "--http", "127.0.0.1:0"), s.run("b", w.sql)}
	w.begin(300)
	w.ready()
	for i := range 6 {
		time.Sleep(2 * time.Second)
		procs[i%2].killed()
		procs[i%2] = s.run([]string{"a", "b"}[i%2], w.sql)
	}
	in, out := w.judge()
	for _, p := range procs {
		p.stop()
	}
	sql := s.file("end.sql", "TERMINATE ALL; DROP STREAM copied DELETE TOPIC;")
	if _, errs, code := s.command(time.Minute, "run", sql, "--brokers", s.brokers, "--name", s.name); code != 0 {
		t.Errorf("the application's topics cannot be removed: exit %d: %s", code, errs)
	}
	s.nowhere()
	t.Logf("6 kills under the documented ACLs: %d rows read, %d written, as the oracle computes; no secret in any output, directory or topic", in, out)
}

// TestLogins runs a job with each authentication mechanism.
func TestLogins(t *testing.T) {
	k := startSecured(t)
	for _, c := range []struct{ name, listener, config string }{
		{"mTLS", "SSL", fmt.Sprintf("cert_file = %q\nkey_file = %q\n", k.tls("alice.pem"), k.tls("alice.key"))},
		{"PLAIN over TLS", "SASL_SSL",
			"sasl_mechanism = \"PLAIN\"\nsasl_user = \"alice\"\nsasl_password = \"file:alice.secret\"\n"},
		{"OAUTHBEARER over TLS", "SASL_SSL", "sasl_mechanism = \"OAUTHBEARER\"\noauth_token = \"file:token.secret\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := k.site(t, c.listener, fmt.Sprintf("tls = true\nca_file = %q\n", k.tls("ca.pem"))+c.config)
			s.file("alice.secret", "alice-secret\n")
			token := unsigned("alice")
			s.file("token.secret", token+"\n")
			must(t, "acls", k.dir, "alice", s.name)
			in := s.topic("in", 2)
			sql := s.file("jobs.sql", fmt.Sprintf(`SET 'auto.offset.reset'='earliest';
CREATE STREAM IF NOT EXISTS s (k STRING KEY, v INT) WITH (topic='%s', format='json');
CREATE TABLE IF NOT EXISTS sums WITH (topic='%s.sums') AS SELECT k, SUM(v) AS total FROM s GROUP BY k;
INSERT INTO s VALUES ('a', 1), ('b', 10), ('a', 2);
`, in, s.name))
			seen := s.watch(s.name + ".sums")
			p := s.run("a", sql)
			if !seen.await(s.name+".sums", 3, 30*time.Second) {
				t.Fatal("the job writes nothing")
			}
			p.stop()
			s.nowhere(token)
		})
	}
	t.Run("a wrong password", func(t *testing.T) {
		s := k.site(t, "SASL_SSL", fmt.Sprintf("tls = true\nca_file = %q\nsasl_mechanism = \"SCRAM-SHA-512\"\nsasl_user = \"alice\"\nsasl_password = \"file:bob.secret\"\n", k.tls("ca.pem")))
		s.file("bob.secret", "bob-secret\n")
		sql := s.file("q.sql", "SHOW JOBS;")
		out, errs, code := s.command(time.Minute, "run", sql, "--brokers", s.brokers, "--name", s.name)
		if code == 0 || !strings.Contains(errs, `the login of user "alice" was refused`) ||
			strings.Contains(out+errs, "bob-secret") {
			t.Errorf("exit %d: %s", code, errs)
		}
	})
	t.Run("an unknown authority", func(t *testing.T) {
		s := k.site(t, "SSL", fmt.Sprintf("tls = true\ncert_file = %q\nkey_file = %q\n", k.tls("alice.pem"),
			k.tls("alice.key")))
		_, errs, code := s.command(time.Minute, "run", s.file("q.sql", "SHOW JOBS;"), "--brokers", s.brokers, "--name",
			s.name)
		if code != 3 || !strings.Contains(errs, "certificate") {
			t.Errorf("exit %d: %s", code, errs)
		}
	})
}

// unsigned returns a token that Kafka's validator for tests accepts.
func unsigned(user string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	now := time.Now().Unix()
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, user, now-60, now+3600)) + "."
}

// TestRefused removes one right at a time. The error must name the operation that is denied.
func TestRefused(t *testing.T) {
	k := startSecured(t)
	config := fmt.Sprintf("tls = true\nca_file = %q\nsasl_mechanism = \"SCRAM-SHA-256\"\nsasl_user = \"bob\"\nsasl_password = \"file:bob.secret\"\n", k.tls("ca.pem"))
	for _, c := range []struct {
		name   string
		refuse []string // the denied right; all others are granted
		says   string
	}{
		{"nothing", nil, ""},
		{"all", []string{"--operation", "All", "--topic", "%s."}, "topic"},
		{"Create", []string{"--operation", "Create", "--topic", "%s."}, `create topic "%s.`},
		{"Read of topics", []string{"--operation", "Read", "--topic", "%s."}, `topic "%s.`},
		{"Write of topics", []string{"--operation", "Write", "--topic", "%s."}, `%s.`},
		{"Read of groups", []string{"--operation", "Read", "--group", "%s."}, `group "%s.`},
		{"Write of transactions", []string{"--operation", "Write", "--transactional-id", "%s."}, `transaction "%s.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := k.site(t, "SASL_SSL", config)
			s.file("bob.secret", "bob-secret\n")
			must(t, "acls", k.dir, "bob", s.name)
			if c.refuse != nil {
				args := []string{"tool", k.dir, "org.apache.kafka.tools.AclCommand", "--add", "--deny-principal", "User:bob",
					"--resource-pattern-type", "prefixed"}
				for _, a := range c.refuse {
					args = append(args, strings.ReplaceAll(a, "%s", s.name))
				}
				must(t, args...)
			}
			s.topic("in", 1)
			sql := s.file("jobs.sql", fmt.Sprintf(`SET 'auto.offset.reset'='earliest';
CREATE STREAM s (k STRING KEY, v INT) WITH (topic='%s.in', format='json');
CREATE STREAM o WITH (topic='%s.out') AS SELECT k, v FROM s;
INSERT INTO s VALUES ('a', 1);
SELECT COUNT(*) AS n FROM s SINCE EARLIEST UNTIL NOW;
`, s.name, s.name))
			p := s.run("a", sql)
			if c.refuse == nil {
				deadline := time.Now().Add(30 * time.Second)
				for p.alive() && !strings.Contains(p.wrote(), `{"n":1}`) && time.Now().Before(deadline) {
					time.Sleep(20 * time.Millisecond)
				}
				if !strings.Contains(p.wrote(), `{"n":1}`) {
					t.Fatalf("with all rights: %s", p.said())
				}
				p.stop()
				return
			}
			if code := p.end(time.Minute); code == 0 {
				t.Errorf("it ends with 0")
			}
			want := strings.ReplaceAll(c.says, "%s", s.name)
			if said := p.said(); !strings.Contains(said, `user "bob" is not allowed to`) || !strings.Contains(said, want) ||
				strings.Contains(said, "bob-secret") {
				t.Errorf("the error does not say that bob must not %s:\n%s", want, said)
			} else {
				t.Log(said[max(strings.Index(said, "error["), 0):])
			}
		})
	}
}
