// Package sim tests that jobs are exact. It runs the real exec.Job, with its state machine,
// tasks and stores, on one goroutine against models of Kafka, of a disk that crashes, and of
// time. A seed determines everything that happens: which worker runs next, which is killed
// where, when markers reach partitions, which positions
// a coordinator forgets. The same seed results in
// the same run. At the end the model stops injecting faults, the jobs finish, and their output
// and state are compared with a naive computation over the inputs.
//
// Not modelled: moving leaders and truncated logs (acknowledged records are durable, which is
// the brokers' side of the contract), snapshots, and guarantees below exactly-once.
package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/topic"
)

// Bugs that can be planted in the model: possible faults of a Kafka client.
const (
	// Describe returns a partition's last stable offset as its end
	replayToStable  = "replay to the last stable offset"
	noRequireStable = "no RequireStable" // Committed does not wait for undecided transactions
	readUncommitted = "read uncommitted" // readers see aborted and undecided records
	// Join does not abort the transaction of an earlier process
	noFence = "no fence"
)

// Result is the result of one run.
type Result struct {
	Plan       string
	Steps      int      // of all workers
	Kills      int      // during a call or between two steps
	Faults     int      // of the client's cursor
	Recoveries int64    // from errors, without a kill
	Rows       int      // that the job had to process
	Trace      []string // the events, if requested
	Err        error    // the violation, if any
}

// Run runs the simulation of a seed. With trace, it records the events.
func Run(seed uint64, trace bool) Result { return newWorld(seed, trace).run() }

func newWorld(seed uint64, trace bool) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 0x5eed)), tracing: trace, now: 1_000_000, around: func(env exec.Env, _ *process) exec.Env { return env }}
}

func (w *world) run() (res Result) {
	defer func() {
		v := recover()
		if f, ok := v.(failure); ok {
			w.err = f.error
		} else if v != nil {
			w.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
		res = Result{Plan: w.plan.name, Steps: w.steps, Kills: w.killed, Faults: w.faults, Recoveries: w.recoveries, Rows: w.rows, Trace: w.trace, Err: w.err}
		w.close()
	}()
	w.setUp()
	w.storm()
	w.calmDown()
	w.check()
	return
}

// world is the state of a run.
type world struct {
	rng     *rand.Rand
	conf    conf
	plan    *plan
	now     int64 // ms
	cluster *cluster
	workers []*worker
	calm    bool // no more faults
	depth   int  // suspended workers during which others run
	kills   int  // remaining

	bug    string                                  // planted in the model; "": none
	around func(env exec.Env, p *process) exec.Env // wraps a job's environment

	steps, killed, faults, rows int
	recoveries                  int64
	tracing                     bool
	trace                       []string
	err                         error
}

// conf contains the seed's random choices of the configuration.
type conf struct {
	standbys  bool
	durable   bool // members keep their membership across a restart
	badClient bool
	killEvery int
	fetch     int // maximum number of records
	interval  int64
	horizon   int64
}

// failure is the panic that ends a run.
type failure struct{ error }

func (w *world) violation(format string, args ...any) {
	w.note("VIOLATION: "+format, args...)
	panic(failure{fmt.Errorf(format, args...)})
}

func (w *world) note(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%8d %s", w.now, strings.Repeat("  ", w.depth)+fmt.Sprintf(format, args...)))
	}
}

func (w *world) pick(n int) int { return w.rng.IntN(n) }

// one is true once in n times.
func (w *world) one(n int) bool { return w.rng.IntN(n) == 0 }

// pass advances the time.
func (w *world) pass(ms int64) {
	w.now += ms
	w.cluster.tick()
}

func (w *world) setUp() {
	w.cluster = newCluster(w)
	w.conf = conf{standbys: w.one(2), durable: w.one(2), badClient: w.one(2), killEvery: 40 + w.pick(200), fetch: 1 + w.pick(6), interval: int64(w.pick(3) * 40), horizon: deletesKept / 2}
	w.kills = w.pick(9)
	w.plan = makePlan(w)
	for i := range 1 + w.pick(4) {
		w.workers = append(w.workers, &worker{w: w, instance: i})
	}
	w.note("%s, %d workers, %+v", w.plan.name, len(w.workers), w.conf)
}

// storm is the phase with faults.
func (w *world) storm() {
	for range 60 + w.pick(120) {
		w.happen()
	}
}

// happen executes one random event.
func (w *world) happen() {
	k := w.workers[w.pick(len(w.workers))]
	switch w.pick(24) {
	default:
		w.pass(int64(w.pick(20)))
		k.step()
	case 0, 1, 2:
		w.plan.feed(1 + w.pick(6))
	case 3, 4:
		w.cluster.some()
	case 5:
		w.freeze(k)
	case 6:
		if w.kills > 0 && k.p != nil && !k.p.busy && w.one(2) {
			w.kill(k.p, "between steps")
		}
	case 7:
		w.cluster.clean()
	case 8:
		w.pass(int64(w.pick(600)))
	case 9:
		w.rare(k)
	}
}

// rare executes a rare event.
func (w *world) rare(k *worker) {
	switch w.pick(5) {
	case 0:
		w.pass(int64(w.pick(3 * deletesKept / 2)))
	case 1:
		for _, g := range w.cluster.groups {
			g.expire()
		}
	case 2, 3:
		for _, g := range w.cluster.groups { // there is one
			g.wanted, g.storm = true, true
		}
	case 4:
		if w.plan.gaps {
			w.plan.retain()
		}
	}
}

// freeze suspends a worker, while others run, until its session may have expired.
func (w *world) freeze(k *worker) {
	if k.p == nil || k.p.busy {
		return
	}
	k.p.busy = true
	w.meanwhile(k.p, "nothing")
	if k.p != nil {
		k.p.busy = false
	}
}

// meanwhile runs other processes during a call of a process that is slow or suspended.
func (w *world) meanwhile(p *process, what string) {
	before := p.frozen
	p.frozen = w.one(2)
	w.note("worker %d is in %s, frozen: %v", p.instance, what, p.frozen)
	w.depth++
	most := 2 * sessionTimeout
	if w.one(8) {
		most = deletesKept
	}
	for range 1 + w.pick(12) {
		if w.one(4) {
			w.pass(int64(w.pick(most)))
		}
		w.happen()
	}
	w.depth--
	p.frozen = before
	w.note("worker %d continues", p.instance)
}

// calmStep returns the time between two rounds of the final phase: little if one transaction
// lasts for many of them.
func (w *world) calmStep() int64 {
	if w.plan.gather && w.plan.until != topic.End {
		return 20
	}
	return 200
}

// calmDown ends all faults and lets the job finish.
func (w *world) calmDown() {
	w.note("calm")
	w.calm = true
	w.plan.feed(3)
	w.plan.fill()
	for quiet, i := 0, 0; quiet < 6*len(w.workers); i++ {
		if i > 3000 {
			w.violation("the job does not finish: %s", w.plan.lag())
		}
		w.pass(w.calmStep())
		for w.cluster.some() {
		}
		for _, k := range w.workers {
			k.step()
		}
		if quiet++; w.plan.lag() != "" {
			quiet = 0
		}
	}
}
