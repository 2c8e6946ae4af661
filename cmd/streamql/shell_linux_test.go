package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// terminal is a process at a pseudo-terminal of 100 x 30 characters.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	mu     sync.Mutex
	seen   bytes.Buffer
	from   int           // how much of seen has been matched
	delay  time.Duration // of responses to the process, as over a slow connection
}

func control(f *os.File, request uintptr, arg unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

// openTerminal starts the command at a new pseudo-terminal. The file is opened in blocking mode: its readers
// end when the process is killed.
func openTerminal(t *testing.T, args ...string) *terminal { return openSlow(t, 0, args...) }

// openSlow starts the command at a terminal whose responses are late.
func openSlow(t *testing.T, delay time.Duration, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	var number, unlock int32
	if err := control(master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock)); err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	if err := control(master, syscall.TIOCGPTN, unsafe.Pointer(&number)); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	size := [4]uint16{30, 100}
	if err := control(slave, syscall.TIOCSWINSZ, unsafe.Pointer(&size)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	p := &terminal{t: t, cmd: exec.CommandContext(ctx, binary, args...), master: master, delay: delay}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.Env = append(os.Environ(), "TERM=xterm", "XDG_STATE_HOME="+t.TempDir(), "INPUTRC=/dev/null")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go p.watch()
	t.Cleanup(func() { cancel(); _ = p.cmd.Wait(); master.Close() })
	return p
}

// watch collects the output of the process. It responds to requests for the cursor's position, as a terminal
// does.
func (p *terminal) watch() {
	buf := make([]byte, 1<<16)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.seen.Write(buf[:n])
		p.mu.Unlock()
		if bytes.Contains(buf[:n], []byte("\x1b[6n")) {
			time.AfterFunc(p.delay, func() { _, _ = p.master.WriteString("\x1b[1;1R") })
		}
		if err != nil {
			return
		}
	}
}

// kind types keys as slowly as a person.
func (p *terminal) kind(keys string) {
	p.t.Helper()
	time.Sleep(150 * time.Millisecond)
	p.press(keys)
}

// press sends keys at once.
func (p *terminal) press(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[a-zA-Z]|\x1b[=>]|\r")

// want waits until a text appears after the text of the previous call.
func (p *terminal) want(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		all := escapes.ReplaceAllString(p.seen.String(), "")
		p.mu.Unlock()
		if i := strings.Index(all[min(p.from, len(all)):], text); i >= 0 {
			p.from += i + len(text)
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%q did not appear; the screen ends with\n%s", text, all[max(min(p.from, len(all)), len(all)-2000):])
		}
	}
}

func (p *terminal) exit(code int) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
		if got := p.cmd.ProcessState.ExitCode(); got != code {
			p.t.Errorf("exit %d, want %d", got, code)
		}
	case <-time.After(5 * time.Second):
		p.t.Error("the process did not end")
	}
}

func TestShellAtTerminal(t *testing.T) {
	p := openTerminal(t)
	p.want("in memory")
	p.want("streamql> ")
	p.kind("SELECT 1 + 1\r")
	p.kind("  AS two;\r")
	p.want("two\n   2\n1 row")
	p.want("streamql> ")
	p.kind("CREATE STREAM c WITH (connector='generator', kind='cars', rows=9); CREATE STREAM live WITH (connector='generator', kind='cars', rate=50);\r")
	p.want("stream live created")
	p.want("streamql> ")
	p.kind("SELECT coolant_te\t FROM c LIMIT 1;\r")
	p.want("coolant_temp FROM c LIMIT 1;")
	p.want("1 row")
	p.want("streamql> ")
	p.kind("SELECT car FROM live EMIT CHANGES;\r")
	p.want("waiting for rows of car; Ctrl-C ends the query")
	p.want("car-00")
	p.kind("\x03")
	p.want("stopped")
	p.want("streamql> ")
	p.kind("half a line")
	p.want("half a line")
	p.kind("\x03")
	p.want("\n")
	p.want("streamql> ")
	p.kind("SELECT spead FROM c;\r")
	p.want("did you mean \"speed\"")
	p.want("streamql> ")
	p.kind("exit\r")
	p.exit(0)
}

// TestTrainingInterrupted ends a training with Ctrl-C: the best epoch so far becomes a version.
func TestTrainingInterrupted(t *testing.T) {
	p := openTerminal(t)
	p.want("streamql> ")
	p.kind("CREATE STREAM c WITH (connector='generator', kind='cars', rows=50000);\r")
	p.want("stream c created")
	p.want("streamql> ")
	p.kind("CREATE MODEL m TRANSFORM (* EXCEPT (car, failure_occurred)) FROM c TRAIN ONCE WITH (type='autoencoder', epochs=100000);\r")
	p.want("/100000   loss")
	p.want("Ctrl-C keeps the best epoch")
	p.kind("\x03")
	p.want("model m$1: 50000 rows")
	p.want("streamql> ")
	p.kind("SELECT version FROM m;\r")
	p.want("1 row")
	p.kind("\x04")
	p.exit(0)
}

// TestTerminated ends a shell with SIGTERM while it waits for a key.
func TestTerminated(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := openTerminal(t, "--dir", dir)
	p.want("streamql> ")
	p.kind("CREATE STREAM s (v INT) WITH (topic='s');\r")
	p.want("stream s created")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.exit(143)
	if got := invoke(t, "SHOW STREAMS;", "--dir", dir, "-q"); !strings.Contains(got.out, `"name":"s"`) {
		t.Errorf("after it: %s%s", got.out, got.err)
	}
}

// TestSlowTerminal types and pastes over a connection with a round trip of 150 ms: no key is lost.
func TestSlowTerminal(t *testing.T) {
	p := openSlow(t, 150*time.Millisecond, "-o", "jsonl")
	p.want("streamql> ")
	for i := range 2 {
		for _, key := range fmt.Sprintf("SELECT 'abcdefghijklmnopqrstuvwxyz' || '%d' AS x;", i) {
			p.press(string(key))
			time.Sleep(30 * time.Millisecond)
		}
		p.press("\r")
		p.want(fmt.Sprintf(`{"x":"abcdefghijklmnopqrstuvwxyz%d"}`, i))
		p.want("streamql> ")
	}
	p.press("SELECT 1 AS a;\rSELECT 2 AS b;\rSELECT 3 AS c;\r") // a paste without brackets
	p.want(`{"a":1}`)
	p.want(`{"b":2}`)
	p.want(`{"c":3}`)
	p.want("streamql> ")
	p.press("\x1b[200~\\timing\rSELECT 4 AS d;\r\\timing\rSELECT\r5 AS e;\x1b[201~")
	p.press("\r")
	p.want("timing is on")
	p.want(`{"d":4}`)
	p.want("timing is off")
	p.want(`{"e":5}`)
	p.press("\x04")
	p.exit(0)
}
