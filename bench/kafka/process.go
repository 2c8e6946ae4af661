//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// process is a child process.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}

	mu      sync.Mutex
	samples []sample
	warned  string
}

// sample is a periodic report of a child.
type sample struct {
	Rows    int64         // number of rows read by its jobs
	CPU     time.Duration // of the process so far
	At      time.Time
	Status  string // of its last job
	Heap    int64  // bytes of objects, garbage included
	Done    bool   // the last sample
	Warning string
}

// start starts a child with a task.
func (r *run) start(t task) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	t.Brokers = r.brokers
	if t.Interval == 0 {
		t.Interval = r.interval
	}
	if r.profiles != "" {
		r.started++
		t.Profile = filepath.Join(r.profiles, fmt.Sprintf("%s-%d.pprof", t.Name, r.started))
	}
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, childMode), ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.listen(out)
	_, err = fmt.Fprintf(in, "%s\n", text)
	return p, err
}

func (p *process) listen(out io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var s sample
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue
		}
		p.mu.Lock()
		if s.Warning != "" {
			if p.warned == "" {
				fmt.Fprintln(os.Stderr, "bench: engine:", s.Warning)
			}
			p.warned = s.Warning
		} else {
			p.samples = append(p.samples, s)
		}
		p.mu.Unlock()
	}
	_ = p.cmd.Wait()
}

func (p *process) last() sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 {
		return sample{}
	}
	return p.samples[len(p.samples)-1]
}

// until waits for a sample that f accepts.
func (p *process) until(r *run, f func(sample) bool) error {
	for {
		if f(p.last()) {
			return nil
		}
		select {
		case <-p.ended:
			if f(p.last()) {
				return nil
			}
			return fmt.Errorf("the engine's process has ended: %s", p.warned)
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// between returns the rows, the CPU time and the wall time from the first sample with at least from rows to
// the last sample with fewer than end.
func (p *process) between(from, end int64) (rows int64, cpu, wall time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var a, b sample
	for _, s := range p.samples {
		if a.Rows == 0 && s.Rows >= from {
			a = s
		}
		if s.Rows < end {
			b = s
		}
	}
	return b.Rows - a.Rows, b.CPU - a.CPU, b.At.Sub(a.At)
}

// stop ends the child and waits for it.
func (p *process) stop() {
	_ = p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.kill()
	}
}

// kill ends the child as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// memory returns the present and the peak memory of the child, in MiB.
func (p *process) memory() (now, most float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			now = n / 1024
		case "VmHWM:":
			most = n / 1024
		}
	}
	return now, most
}

// cpu returns the CPU time of this process on all cores.
func cpu() time.Duration {
	const processTime = 2
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processTime, uintptr(unsafe.Pointer(&ts)),
		0); errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}

// size returns the total size of the files below a directory, in MiB.
func size(dir string) float64 {
	n := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil // a file may be removed meanwhile
	})
	return float64(n) / (1 << 20)
}
