package process

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The shared fixtures.
var (
	program string // the built binary
	shared  string // HOST:PORT,.. of the shared Kafka
	script  string // .ci/kafka
	own     string // why a test cannot start a Kafka of its own; empty: it can
)

var rounds = flag.Int("rounds", 15, "how often TestRebalance kills, starts and pauses")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	root, err := filepath.Abs("../..")
	if err != nil {
		return failed(err)
	}
	script = filepath.Join(root, ".ci", "kafka")
	own = lacking(root)
	shared = cmp.Or(os.Getenv("STREAMQL_TEST_KAFKA"), os.Getenv("STREAMQL_TEST_KAFKA3"))
	switch {
	case os.Getenv("STREAMQL_TEST_PROCESS") == "no":
		return leftOut("STREAMQL_TEST_PROCESS=no")
	case testing.Short():
		return leftOut("-short")
	case shared == "" && os.Getenv("CI") != "true" && os.Getenv("STREAMQL_TEST_PROCESS") != "yes":
		return leftOut("they take minutes and fetch Kafka; STREAMQL_TEST_PROCESS=yes with java and mvn runs them, or STREAMQL_TEST_KAFKA=HOST:PORT")
	case shared == "" && own != "" && os.Getenv("CI") == "true":
		return failed(fmt.Errorf("there is no Kafka, and CI requires one: %s", own))
	case shared == "" && own != "":
		return leftOut(own)
	}
	dir, err := os.MkdirTemp("", "streamql-process-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "streamql")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/streamql")
	build.Dir, build.Stderr, build.Env = root, os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return failed(fmt.Errorf("build the program: %w", err))
	}
	if shared == "" {
		at := filepath.Join(dir, "kafka")
		defer kafkaScript("stop", at)
		out, err := kafkaScript("start", at)
		if err != nil {
			return failed(err)
		}
		shared = strings.TrimSpace(out)
	}
	return m.Run()
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "conformance/process:", err)
	return 1
}

func leftOut(why string) int {
	fmt.Printf("conformance/process: left out are the tests of processes against a real Kafka: %s\n", why)
	return 0
}

// lacking returns why .ci/kafka cannot start a Kafka on this machine.
func lacking(root string) string {
	if _, err := exec.LookPath("java"); err != nil {
		return "there is neither $STREAMQL_TEST_KAFKA nor java"
	}
	home := os.Getenv("STREAMQL_KAFKA_HOME")
	if home == "" {
		home = filepath.Join(root, ".build", "kafka")
	}
	if _, err := os.Stat(filepath.Join(home, ".complete")); err == nil {
		return ""
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "there is java, but neither Kafka's jars nor mvn to fetch them"
	}
	return ""
}

// kafkaScript runs .ci/kafka and returns its stdout.
func kafkaScript(args ...string) (string, error) {
	cmd := exec.Command(script, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	// The broker inherits the script's open files. The output goes to a file, because with a pipe Wait would
	// return only after the broker has ended.
	f, err := os.CreateTemp("", "streamql-kafka-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf(".ci/kafka %s: %w: %s", strings.Join(args, " "), err, &errs)
	}
	out, err := os.ReadFile(f.Name())
	return string(out), err
}

// startKafka starts a Kafka for one test, which ends with the test. verb is start or start-secure.
func startKafka(t *testing.T, verb string) (dir, out string) {
	t.Helper()
	if own != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI requires a Kafka that tests may stop: " + own)
		}
		t.Skip("left out: " + own)
	}
	dir = filepath.Join(t.TempDir(), "kafka")
	t.Cleanup(func() {
		if _, err := kafkaScript("stop", dir); err != nil {
			t.Error(err)
		}
	})
	out, err := kafkaScript(verb, dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, out
}

// must runs .ci/kafka and fails the test on an error.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := kafkaScript(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
