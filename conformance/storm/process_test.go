//go:build synctests

package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/streamql/streamql"
	"github.com/streamql/streamql/topic/kafka"
)

// process is a process of the application. It has several lives. Between two of them it keeps or loses its
// disk.
type process struct {
	w    *world
	id   int
	dir  string // with the process's name; "": it has no disk
	fs   *vfs.MemFS
	life *life // nil: it is not running
	n    int   // number of lives
}

// life is a process from its start to its end.
type life struct {
	p      *process
	n      int
	line   *cord
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	engine *streamql.Engine // nil: not open yet
	ended  chan struct{}
}

func (w *world) process(id int, disk bool) *process {
	p := &process{w: w, id: id}
	if disk {
		p.lose()
	}
	return p
}

// lose replaces the process's disk by an empty one, which makes it another process.
func (p *process) lose() {
	dir, err := os.MkdirTemp(p.w.temp, fmt.Sprint("p", p.id, "."))
	if err != nil {
		panic(err)
	}
	p.dir, p.fs = dir, vfs.NewCrashableMem()
	if p.n > 0 {
		p.w.lost++
	}
}

// start begins a life. It retries to open the engine until it succeeds.
func (p *process) start() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.life != nil || p.w.over {
		return
	}
	p.n++
	l := &life{p: p, n: p.n, line: &cord{w: p.w, conns: map[*wire]bool{}}, ended: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	p.life = l
	p.w.lines[l.line] = true
	p.w.lives = append(p.w.lives, l)
	go l.run(p.dir, p.fs)
}

func (l *life) run(dir string, fs *vfs.MemFS) {
	w := l.p.w
	defer close(l.ended)
	config := kafka.Config{Brokers: w.fake.ListenAddrs(), Name: "app", ClientID: fmt.Sprintf("p%d.%d", l.p.id, l.n),
		Dial:           l.line.dial,
		SessionTimeout: w.session, RebalanceTimeout: w.rebalance}
	opts := []streamql.Option{streamql.WithKafka(config), streamql.WithPollRecords(w.poll),
		streamql.WithStandbys(w.standbys),
		streamql.WithAddress(fmt.Sprintf("p%d", l.p.id))}
	if dir != "" {
		opts = append(opts, streamql.WithDir(dir), streamql.WithStateOn(fs, w.flush))
	}
	if w.snapshots != nil {
		opts = append(opts, streamql.WithSnapshots(w.snapshots, 15*time.Second))
	}
	for l.ctx.Err() == nil {
		ctx, stop := context.WithTimeout(l.ctx, time.Minute)
		e, err := streamql.Open(ctx, opts...)
		stop()
		if err == nil {
			w.note("p%d.%d is open", l.p.id, l.n)
			l.mu.Lock()
			l.engine = e
			l.mu.Unlock()
			<-l.ctx.Done()
			l.mu.Lock()
			l.engine = nil
			l.mu.Unlock()
			if err := e.Close(); err != nil {
				w.note("p%d.%d closes: %v", l.p.id, l.n, err)
			}
			break
		}
		w.note("p%d.%d does not open: %v", l.p.id, l.n, err)
		select {
		case <-time.After(time.Second):
		case <-l.ctx.Done():
		}
	}
	w.mu.Lock()
	delete(w.lines, l.line)
	w.mu.Unlock()
}

// kill ends the process like a power failure: its network is disconnected, and its disk keeps synced data and
// a part of the rest.
func (p *process) kill(why string) {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	l := p.life
	if l == nil || w.over {
		return
	}
	p.life = nil
	l.line.cut()
	if p.fs != nil {
		p.fs = p.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.dice.IntN(101),
			RNG: rand.New(rand.NewPCG(w.dice.Uint64(), 1))})
	}
	w.kills++
	w.noteLocked("p%d.%d is killed: %s", p.id, l.n, why)
	if p.fs != nil && w.dice.IntN(6) == 0 {
		p.lose()
	}
	go l.cancel()
	w.later(time.Duration(w.dice.IntN(8000))*time.Millisecond, p.start)
}

// leave stops the process in order.
func (p *process) leave(away time.Duration) {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	l := p.life
	if l == nil || w.over {
		return
	}
	w.noteLocked("p%d.%d leaves", p.id, l.n)
	p.life = nil
	w.leaves++
	l.cancel()
	w.pending.Add(1)
	go func() {
		defer w.pending.Done()
		<-l.ended
		select {
		case <-time.After(away):
		case <-w.calm:
		}
		p.start()
	}()
}

// named reports whether a transactional id belongs to the process.
func (p *process) named(id string) bool {
	if p.dir == "" {
		return false
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "instance"))
	return err == nil && strings.Contains(id, "."+strings.TrimSpace(string(text))+".")
}

// open returns the engine of a running process, or nil.
func (p *process) open() *streamql.Engine {
	p.w.mu.Lock()
	l := p.life
	p.w.mu.Unlock()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine
}
