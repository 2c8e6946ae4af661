package process

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

var faults = flag.Int("faults", 8, "how many rounds TestThreeFaults has")

// ordeal is an application under faults: processes over one workload, of which one keeps its state on a small disk.
type ordeal struct {
	*site
	c     *cluster
	w     *workload
	procs []*asked
	dirs  []string
	small string // a file system of a few MiB; empty: there is none, for want of rights
	count map[string]int
}

// fault is what a round does. It returns what it has done, when that is over.
type fault struct {
	name string
	do   func(o *ordeal, i int) string
}

// ofProcesses hit one process, ofBrokers one broker; others neither.
var ofProcesses = []fault{
	{"a process is killed", func(o *ordeal, i int) string {
		o.procs[i].killed()
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
		o.again(i)
		return o.procs[i].label
	}},
	{"a process stands still for longer than its session", func(o *ordeal, i int) string {
		o.procs[i].pause()
		time.Sleep(3 * time.Second) // its session is two
		o.procs[i].resume()
		return o.procs[i].label
	}},
	{"the directory of a stopped process is removed", func(o *ordeal, i int) string {
		o.procs[i].stop()
		for _, e := range must1(os.ReadDir(o.procs[i].dir)) { // the directory itself may be a mount
			_ = os.RemoveAll(filepath.Join(o.procs[i].dir, e.Name()))
		}
		o.again(i)
		return o.procs[i].label
	}},
	{"a disk is full", func(o *ordeal, _ int) string {
		if o.small == "" {
			return "left out: no small file system can be mounted here"
		}
		full := filepath.Join(o.small, "full")
		err := os.WriteFile(full, make([]byte, 64<<20), 0o600)
		if err == nil {
			o.t.Error("64 MiB go on a disk of 32")
		}
		time.Sleep(8 * time.Second)
		if err := os.Remove(full); err != nil {
			o.t.Error(err)
		}
		return o.procs[len(o.procs)-1].label
	}},
}

var ofBrokers = []fault{
	{"a broker is killed", func(o *ordeal, _ int) string { return o.outage("kill") }},
	{"a broker is stopped", func(o *ordeal, _ int) string { return o.outage("stop") }},
	{"a leader moves", func(o *ordeal, _ int) string {
		names := append([]string{"__transaction_state", "__consumer_offsets", o.name + ".catalog", o.w.in}, o.w.topics()...)
		for _, name := range o.topics(o.t.Context()) {
			if strings.HasPrefix(name, o.name+".changelog.") || strings.HasPrefix(name, o.name+".exchange.") {
				names = append(names, name)
			}
		}
		name := names[rand.IntN(len(names))]
		d, err := kadm.NewClient(o.client()).ListTopicsWithInternal(o.t.Context(), name)
		if err != nil {
			o.t.Fatal(err)
		}
		return o.c.lead(o.site, name, int32(rand.IntN(len(d[name].Partitions))))
	}},
}

const deleted = "the input of one job is deleted"

var ofInputs = fault{deleted, func(o *ordeal, i int) string { return o.victim(i) }}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// outage takes a broker away for some seconds.
func (o *ordeal) outage(verb string) string {
	n := o.c.some()
	must(o.t, verb, o.c.broker(n))
	time.Sleep(time.Duration(1000+rand.IntN(4000)) * time.Millisecond)
	must(o.t, "restart", o.c.broker(n))
	return fmt.Sprintf("broker %d", n)
}

// again starts a process anew over its directory.
func (o *ordeal) again(i int) {
	if o.procs[i].alive() {
		o.t.Fatalf("%s runs still", o.procs[i].label)
	}
	o.procs[i] = o.launched(o.dirs[i], o.w.sql)
}

// ordeal starts the processes and the traffic.
func (c *cluster) ordeal(t *testing.T, rate int) *ordeal {
	t.Helper()
	s := c.site(t)
	o := &ordeal{site: s, c: c, w: s.workload(6), dirs: []string{"a", "b", "small"}, count: map[string]int{}}
	o.small = s.disk("small", 32)
	for _, d := range o.dirs {
		o.procs = append(o.procs, s.launched(d, o.w.sql))
	}
	o.w.begin(rate)
	o.w.ready()
	return o
}

// disk mounts a file system of so many MiB as the directory of a process.
func (s *site) disk(dir string, size int) string {
	path := filepath.Join(s.dir, dir)
	if err := os.MkdirAll(path, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		s.t.Logf("left out: full disks, since no file system can be mounted here: %v", err)
		return ""
	}
	s.t.Cleanup(func() {
		for _, p := range s.procs {
			p.kill()
		}
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
	})
	return path
}

// round picks a fault, and one in three times another beside it, and waits until everything is as before.
func (o *ordeal) round(n int) (longest, beyond time.Duration) {
	o.t.Helper()
	all := slices.Concat(ofProcesses, ofBrokers, []fault{ofInputs})
	f := all[n%len(all)]
	if n >= len(all) {
		f = all[rand.IntN(len(all))]
	}
	i := rand.IntN(len(o.procs))
	did := f.name
	if at := slices.IndexFunc(ofBrokers, func(b fault) bool { return b.name == f.name }); at >= 0 && rand.IntN(3) == 0 {
		o.procs[i].killed()
		did += " and " + o.procs[i].label + " is killed"
		o.again(i)
	}
	o.count[f.name]++
	began := time.Now()
	did += ": " + f.do(o, i)
	for _, name := range o.w.topics() {
		if !o.w.seen.await(name, o.w.seen.count(name)+20, time.Minute) {
			o.t.Fatalf("round %d, %s: nothing comes to %s any more", n+1, did, name)
		}
	}
	o.c.whole(2 * time.Minute)
	time.Sleep(time.Second)
	for _, p := range o.procs {
		if !p.alive() {
			o.t.Fatalf("round %d, %s: %s has ended by itself: %s", n+1, did, p.label, tail(p.said(), 3000))
		}
	}
	stall := o.w.traffic.stall()
	gap, where := o.w.seen.stillest(o.w.topics())
	beyond = gap - stall
	o.t.Logf("round %d, %s: %.1f s; the longest time without a row was %.1f s at %s, without an acknowledgement of a broker %.1f s",
		n+1, did, time.Since(began).Seconds(), gap.Seconds(), strings.TrimPrefix(where, o.name+"."), stall.Seconds())
	if beyond > longestGap {
		o.t.Errorf("round %d, %s: %s stood still for %.1f s, the brokers for %.1f s", n+1, did, where, gap.Seconds(), stall.Seconds())
	}
	return gap, beyond
}

// TestThreeFaults has three processes under faults of themselves, of the brokers and of one job's input. All other jobs go on, and their outputs
// are what the oracle says.
func TestThreeFaults(t *testing.T) {
	c := three(t)
	o := c.ordeal(t, 100)
	began := time.Now()
	var longest, beyond time.Duration
	o.w.seen.stillest(o.w.topics())
	o.w.traffic.stall()
	for n := range *faults {
		gap, b := o.round(n)
		longest, beyond = max(longest, gap), max(beyond, b)
	}
	in, out := o.w.judge()
	for _, p := range o.procs {
		p.stop()
	}
	told := o.owners()
	commits, handovers := o.chains()
	t.Logf("%d rounds in %.0f s, %v: %d rows read, %d written, as the oracle says; the longest time without a row of a job was %.1f s, at most %.1f s longer than the brokers gave no answer; %d assignments, no task at two processes in one epoch; %d commits in an unbroken row per task, %d handovers",
		*faults, time.Since(began).Seconds(), o.count, in, out, longest.Seconds(), beyond.Seconds(), told, commits, handovers)
}
