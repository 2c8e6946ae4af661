package process

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

var stays = regexp.MustCompile(`topics (\S+) and (\S+) stay on the cluster`)

// TestDemo runs the demonstration on Kafka and reads its predictions with Kafka's own consumer.
func TestDemo(t *testing.T) {
	dir, at := startKafka(t, "start")
	s := newSite(t, strings.TrimSpace(at))
	out, errs, code := s.command(3*time.Minute, "demo", "--brokers", s.brokers, "--seconds", "5", "--plain")
	if code != 0 || !strings.Contains(out, "\nSummary\n") || !strings.Contains(out, "Kafka at "+s.brokers) ||
		strings.Contains(out, "no network connection was opened") {
		t.Fatalf("exit %d\n%s\n%s", code, tail(out, 3000), errs)
	}
	t.Log(out[strings.Index(out, "\nSummary\n"):])
	topics := stays.FindStringSubmatch(errs)
	if topics == nil {
		t.Fatalf("the output does not say which topics stay: %s", errs)
	}
	const n = 20
	lines := strings.Split(strings.TrimSpace(must(t, "console", dir, topics[2], "20", "--property", "print.key=true")),
		"\n")
	if len(lines) != n {
		t.Errorf("Kafka's consumer reads %d records of %s, not %d", len(lines), topics[2], n)
	}
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "\t")
		var car string
		var row struct{ Score *float64 }
		if json.Unmarshal([]byte(key), &car) != nil || json.Unmarshal([]byte(value), &row) != nil || car == "" ||
			row.Score == nil {
			t.Errorf("Kafka's consumer reads %q, which is no prediction", line)
		}
	}
	left, err := kadm.NewClient(s.client()).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left.Names() {
		if name != topics[1] && name != topics[2] && !strings.HasPrefix(name, "__") {
			t.Errorf("topic %s was not removed", name)
		}
	}
}

// TestExamples runs the examples on Kafka. Their output must be the same as in memory.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/queries/*.sql")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			path, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newSite(t, shared)
			// with the default settings, as for a new user
			if err := os.Remove(filepath.Join(s.dir, "streamql.toml")); err != nil {
				t.Fatal(err)
			}
			want, errs, code := s.command(2*time.Minute, "run", path)
			if code != 0 || want == "" {
				t.Fatalf("in memory: exit %d\n%s", code, errs)
			}
			began := time.Now()
			got, errs, code := s.command(2*time.Minute, "run", path, "--brokers", s.brokers, "--name", s.name)
			if code != 0 {
				t.Fatalf("exit %d\n%s", code, errs)
			}
			if got != want {
				t.Errorf("on Kafka it prints\n%s\nin memory\n%s", got, want)
			}
			t.Logf("the same %d lines, in %.1f s", strings.Count(got, "\n"), time.Since(began).Seconds())
		})
	}
}
