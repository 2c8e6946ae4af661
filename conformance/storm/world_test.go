//go:build synctests

package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql/state"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

// world is the complete state of a storm.
type world struct {
	seed uint64
	temp string
	net  kfake.VirtualNetwork
	fake *kfake.Cluster
	dice *rand.Rand // used under mu
	fair *cord      // a network that only the brokers' faults affect
	plan *plan

	poll, standbys int
	flush          time.Duration
	session        time.Duration // of members
	rebalance      time.Duration
	members        map[string]time.Time // when each member last sent a request
	names          map[string]bool      // of groups
	ended          chan struct{}
	barriers       map[string]*barrier // used by the cluster's goroutine
	snapshots      state.Objects

	mu        sync.Mutex
	processes []*process
	lines     map[*cord]bool
	lives     []*life
	traps     []*trap
	over      bool          // no more kills and starts
	calm      chan struct{} // closed when the faults end
	pending   sync.WaitGroup
	start     time.Time
	trace     []string

	tally

	brokers sync.Mutex
	down    map[string]bool // the brokers that are disconnected
}

// tally counts the events of storms.
type tally struct{ kills, leaves, lost, faults, resumed, letters, rows int }

func (t *tally) add(o tally) {
	t.kills += o.kills
	t.leaves += o.leaves
	t.lost += o.lost
	t.faults += o.faults
	t.resumed += o.resumed
	t.letters += o.letters
	t.rows += o.rows
}

func (t tally) String() string {
	return fmt.Sprintf("%d kills, %d leaves, %d new disks, %d faults, %d recoveries, %d rows, %d dead letters", t.kills,
		t.leaves, t.lost, t.faults, t.resumed, t.rows, t.letters)
}

func newWorld(seed uint64) (*world, error) {
	w := &world{seed: seed, dice: rand.New(rand.NewPCG(seed, 7)), lines: map[*cord]bool{}, down: map[string]bool{},
		calm: make(chan struct{}), ended: make(chan struct{}),
		members: map[string]time.Time{}, names: map[string]bool{}, barriers: map[string]*barrier{}, start: time.Now()}
	w.fair = &cord{w: w, conns: map[*wire]bool{}}
	w.lines[w.fair] = true
	opts := []kfake.Opt{kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.ListenFn(w.net.Listen)}
	if w.dice.IntN(4) == 0 { // a cluster from before KIP-890
		opts = append(opts, kfake.MaxVersions(kversion.V3_5_0()))
	}
	var err error
	if w.fake, err = kfake.NewCluster(opts...); err != nil {
		return nil, err
	}
	w.fake.Control(w.spring)
	if w.temp, err = os.MkdirTemp("", "storm"); err != nil {
		return nil, err
	}
	w.poll = []int{1, 7, 100, 1024}[w.dice.IntN(4)]
	w.flush = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}[w.dice.IntN(3)]
	w.session = []time.Duration{10 * time.Second, 30 * time.Second}[w.dice.IntN(2)]
	w.rebalance = []time.Duration{12 * time.Second, 12 * time.Second, time.Minute}[w.dice.IntN(3)]
	w.standbys = max(0, w.dice.IntN(3)-1)
	if w.dice.IntN(4) == 0 {
		if w.snapshots, err = state.Directory(w.temp + "/snapshots"); err != nil {
			return nil, err
		}
	}
	n := 1 + w.dice.IntN(4)
	for id := range n {
		w.processes = append(w.processes, w.process(id, id > 0 || w.dice.IntN(4) > 0))
	}
	w.plan = newPlan(w.dice)
	return w, nil
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(format, args...)
}

func (w *world) noteLocked(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%8.3f ", time.Since(w.start).Seconds())+fmt.Sprintf(format, args...))
}

// roll returns a random number below n.
func (w *world) roll(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.IntN(n)
}

// later calls a function after a delay, or earlier when the faults end.
func (w *world) later(after time.Duration, f func()) {
	w.pending.Add(1)
	go func() {
		defer w.pending.Done()
		select {
		case <-time.After(after):
		case <-w.calm:
		}
		f()
	}()
}

func (w *world) away(address string) bool {
	w.brokers.Lock()
	defer w.brokers.Unlock()
	return w.down[address]
}

// all returns all networks.
func (w *world) all() (out []*cord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.lines {
		out = append(out, c)
	}
	return out
}

// close stops everything.
func (w *world) close() {
	close(w.ended)
	w.mu.Lock()
	w.over = true
	lives := w.lives
	w.mu.Unlock()
	for _, l := range lives {
		l.cancel()
	}
	for _, l := range lives {
		<-l.ended
	}
	select {
	case <-w.calm:
	default:
		close(w.calm)
	}
	w.pending.Wait()
	time.Sleep(2 * time.Minute) // late requests arrive
	w.fake.Close()
	os.RemoveAll(w.temp)
}

// settle ends all faults: every process runs, and every broker is connected.
func (w *world) settle() {
	w.note("the weather gets fair")
	close(w.calm)
	w.mu.Lock()
	w.traps = nil
	w.mu.Unlock()
	w.brokers.Lock()
	clear(w.down)
	w.brokers.Unlock()
	for _, c := range w.all() {
		c.mend()
	}
	w.pending.Wait()
	for _, p := range w.processes {
		p.start()
	}
}

// run runs a storm.
func run(t *testing.T, seed uint64) (w *world, failed error) {
	w, err := newWorld(seed)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	go w.expire()
	for _, p := range w.processes {
		p.start()
	}
	if err := w.define(w.plan.script(false)...); err != nil {
		return w, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	produced := make(chan error, 1)
	go func() { produced <- w.produce(ctx) }()
	defined := make(chan error, 1)
	go func() {
		time.Sleep(time.Duration(w.roll(60_000)) * time.Millisecond)
		defined <- w.define(w.plan.script(true)...)
	}()
	w.storm()
	w.settle()
	if err := <-defined; err != nil {
		return w, err
	}
	stop()
	if err := <-produced; err != nil {
		return w, fmt.Errorf("producing: %w", err)
	}
	return w, w.verdict()
}
