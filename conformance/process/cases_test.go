package process

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCases runs all cases on Kafka with the command of a user: streamql test --brokers.
func TestCases(t *testing.T) {
	s := newSite(t, shared)
	dir, err := filepath.Abs("../cases")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	out, errs, code := s.command(20*time.Minute, "test", dir, "--brokers", s.brokers)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || errs != "" || !strings.Contains(out, " 0 failed") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	t.Logf("%s, in %.0f s", lines[len(lines)-1], time.Since(began).Seconds())
}
