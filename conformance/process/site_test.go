package process

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// site is an application of one test. Its name is the prefix of all its topics, and its processes run its
// SQL.
type site struct {
	t       *testing.T
	brokers string
	name    string
	dir     string // of configuration, SQL and the processes' directories
	opts    []kgo.Opt
	began   atomic.Int32
	procs   []*proc
}

// settings let the group remove a dead process after two seconds, and Kafka abort its open transactions after
// four.
const settings = `[kafka]
session_timeout = "2s"
transaction_timeout = "4s"
`

func newSite(t *testing.T, brokers string) *site {
	t.Helper()
	s := &site{t: t, brokers: brokers, name: fmt.Sprintf("p%08x", rand.Uint32()), dir: t.TempDir()}
	s.opts = seeds(brokers)
	s.file("streamql.toml", settings)
	t.Cleanup(s.end)
	return s
}

// seeds returns the options of a plain client for HOST:PORT,HOST:PORT.
func seeds(brokers string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(strings.Split(brokers, ",")...)}
}

// file writes a file of the site and returns its path.
func (s *site) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// client returns a plain Kafka client.
func (s *site) client(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, s.opts...), opts...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	return cl
}

// topic creates a topic and returns its name, which has the application's prefix.
func (s *site) topic(what string, partitions int32) string {
	s.t.Helper()
	name := s.name + "." + what
	// Event times are in the past, so a topic with retention by time would lose the records at once.
	resp, err := kadm.NewClient(s.client()).CreateTopic(s.t.Context(), partitions, -1,
		map[string]*string{"retention.ms": kadm.StringPtr("-1")}, name)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return name
}

// topics returns the topics of the site.
func (s *site) topics(ctx context.Context) []string {
	cl := s.client()
	list, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		s.t.Error(err)
	}
	var out []string
	for _, name := range list.Names() {
		if strings.HasPrefix(name, s.name+".") {
			out = append(out, name)
		}
	}
	return out
}

// end kills the remaining processes, prints their output if the test has failed, and removes the topics.
func (s *site) end() {
	for _, p := range s.procs {
		p.kill()
	}
	if s.t.Failed() {
		for i, p := range s.procs {
			if said := p.said(); i >= len(s.procs)-6 && said != "" {
				s.t.Logf("%s said\n%s", p.label, tail(said, 3000))
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if names := s.topics(ctx); len(names) > 0 {
		if _, err := kadm.NewClient(s.client()).DeleteTopics(ctx, names...); err != nil {
			s.t.Log("topics were not removed: ", err)
		}
	}
}

func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return "..." + text[len(text)-n:]
}

// proc is a process of the program.
type proc struct {
	t     *testing.T
	label string
	cmd   *exec.Cmd
	dir   string
	out   string // files
	errs  string
	done  chan struct{}
}

// run starts streamql run with the site's SQL and a directory. With the directory of an earlier process it is
// that process's restart.
func (s *site) run(dir, sql string, more ...string) *proc {
	s.t.Helper()
	return s.start(dir, append([]string{"run", sql, "--brokers", s.brokers, "--name", s.name, "--dir",
		filepath.Join(s.dir, dir), "--debug", "--no-input",
		"--timeout", "20m"}, more...)...)
}

// start starts the program.
func (s *site) start(label string, args ...string) *proc {
	s.t.Helper()
	n := s.began.Add(1)
	p := &proc{t: s.t, label: fmt.Sprintf("%s.%d", label, n), dir: filepath.Join(s.dir, label), done: make(chan struct{})}
	p.out, p.errs = filepath.Join(s.dir, p.label+".out"), filepath.Join(s.dir, p.label+".err")
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = s.dir
	p.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+s.dir, "GOMAXPROCS=1")
	stdout, err := os.Create(p.out)
	if err != nil {
		s.t.Fatal(err)
	}
	defer stdout.Close()
	stderr, err := os.Create(p.errs)
	if err != nil {
		s.t.Fatal(err)
	}
	defer stderr.Close()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	s.procs = append(s.procs, p)
	return p
}

func (p *proc) said() string {
	text, _ := os.ReadFile(p.errs)
	return string(text)
}

func (p *proc) wrote() string {
	text, _ := os.ReadFile(p.out)
	return string(text)
}

// alive reports whether the process runs.
func (p *proc) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// killed sends SIGKILL to a process that must still run.
func (p *proc) killed() {
	p.t.Helper()
	if !p.alive() {
		p.t.Fatalf("%s has ended by itself: %v\n%s", p.label, p.cmd.ProcessState, tail(p.said(), 3000))
	}
	p.kill()
}

func (p *proc) pause()  { p.signal(syscall.SIGSTOP) }
func (p *proc) resume() { p.signal(syscall.SIGCONT) }

func (p *proc) signal(sig syscall.Signal) {
	p.t.Helper()
	if !p.alive() {
		p.t.Fatalf("%s has ended by itself: %v\n%s", p.label, p.cmd.ProcessState, tail(p.said(), 3000))
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// stop sends SIGTERM, after which a process commits and ends.
func (p *proc) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.kill()
		p.t.Errorf("%s did not end within 30 s of SIGTERM", p.label)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) {
		p.t.Errorf("%s ended with %d after SIGTERM: %s", p.label, code, tail(p.said(), 2000))
	}
}

// end waits for a process that ends by itself.
func (p *proc) end(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.kill()
		p.t.Errorf("%s did not end within %v", p.label, limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// says waits until stderr contains a text.
func (p *proc) says(text string) string {
	p.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(p.said(), text) {
		if time.Now().After(deadline) || !p.alive() {
			p.t.Fatalf("%s does not print %q: %s", p.label, text, p.said())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return p.said()
}

// command runs the program to its end.
func (s *site) command(limit time.Duration, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+s.dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
