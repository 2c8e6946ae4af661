package process

import (
	"errors"
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

// ordeal is an application under faults: several processes with one workload. The state of one of them is on
// a small disk.
type ordeal struct {
	*site
	c     *cluster
	w     *workload
	procs []*asked
	dirs  []string
	small string // a file system of a few MiB; empty: mounting one is not permitted
	count map[string]int
}

// fault is the fault of a round. It returns a description when the fault is over.
type fault struct {
	name string
	do   func(o *ordeal, i int) string
}

// ofProcesses affect one process, ofBrokers one broker, the others neither.
var ofProcesses = []fault{
	{"a process is killed", func(o *ordeal, i int) string {
		o.procs[i].killed()
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
		o.again(i)
		return o.procs[i].label
	}},
	{"a process is paused for longer than its session timeout", func(o *ordeal, i int) string {
		o.procs[i].pause()
		time.Sleep(3 * time.Second) // its session timeout is two
		o.procs[i].resume()
		return o.procs[i].label
	}},
	{"the directory of a stopped process is removed", func(o *ordeal, i int) string {
		o.procs[i].stop()
		o.emptied(o.procs[i].dir)
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
			o.t.Error("64 MiB are written to a disk of 32")
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
	{"a leader moves", func(o *ordeal, _ int) string { return o.moved() }},
}

const deleted = "the input of one job is deleted"

var ofInputs = fault{deleted, func(o *ordeal, i int) string { return o.victim(i) }}

// emptied removes the contents of a directory, which itself may be a mount.
func (o *ordeal) emptied(dir string) {
	o.t.Helper()
	list, err := os.ReadDir(dir)
	for _, e := range list {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// moved moves the leadership of a partition of a random topic: one of the application's, or Kafka's own for
// transactions and groups.
func (o *ordeal) moved() string {
	names := append([]string{"__transaction_state", "__consumer_offsets"}, o.topics(o.t.Context())...)
	name := names[rand.IntN(len(names))]
	d, err := kadm.NewClient(o.client()).ListTopicsWithInternal(o.t.Context(), name)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.c.lead(o.site, name, int32(rand.IntN(len(d[name].Partitions))))
}

// outage stops a broker for some seconds.
func (o *ordeal) outage(verb string) string {
	n := o.c.some()
	must(o.t, verb, o.c.broker(n))
	time.Sleep(time.Duration(1000+rand.IntN(4000)) * time.Millisecond)
	must(o.t, "restart", o.c.broker(n))
	return fmt.Sprintf("broker %d", n)
}

// again starts a process with its previous directory.
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

// disk mounts a file system of a size in MiB as the directory of a process.
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

// pick returns the fault of a round: each fault once, then random ones.
func pick(n int) fault {
	all := slices.Concat(ofProcesses, ofBrokers, []fault{ofInputs})
	if n < len(all) {
		return all[n]
	}
	return all[rand.IntN(len(all))]
}

// strike injects a fault into process i. A third of the faults of brokers also kill the process.
func (o *ordeal) strike(f fault, i int) string {
	o.count[f.name]++
	did := f.name
	if slices.ContainsFunc(ofBrokers, func(b fault) bool { return b.name == f.name }) && rand.IntN(3) == 0 {
		o.procs[i].killed()
		did += " and " + o.procs[i].label + " is killed"
		o.again(i)
	}
	return did + ": " + f.do(o, i)
}

// recovered waits until rows arrive in all outputs and the cluster is healthy, and checks that all processes
// run.
func (o *ordeal) recovered(did string) {
	o.t.Helper()
	for _, name := range o.w.topics() {
		if !o.w.seen.await(name, o.w.seen.count(name)+20, time.Minute) {
			o.t.Fatalf("%s: no more rows arrive in %s", did, name)
		}
	}
	o.c.whole(2 * time.Minute)
	time.Sleep(time.Second)
	for _, p := range o.procs {
		if !p.alive() {
			o.t.Fatalf("%s: %s has ended by itself: %s", did, p.label, tail(p.said(), 3000))
		}
	}
}

// round injects a fault and waits for the recovery. It returns the longest interval without a row in an
// output, and by how much that exceeds the brokers' own interruption.
func (o *ordeal) round(n int) (gap, beyond time.Duration) {
	o.t.Helper()
	began := time.Now()
	did := fmt.Sprintf("round %d, %s", n+1, o.strike(pick(n), rand.IntN(len(o.procs))))
	o.recovered(did)
	stall := o.w.traffic.stall()
	gap, where := o.w.seen.stillest(o.w.topics())
	where = strings.TrimPrefix(where, o.name+".")
	o.t.Logf("%s: %.1f s; the longest time without a row was %.1f s at %s, without an acknowledgement of a broker %.1f s",
		did, time.Since(began).Seconds(), gap.Seconds(), where, stall.Seconds())
	if gap-stall > longestGap {
		o.t.Errorf("%s: %s had no row for %.1f s, the brokers no response for %.1f s", did, where, gap.Seconds(),
			stall.Seconds())
	}
	return gap, gap - stall
}

// bugs checks that no process has logged an unexpected error.
func (o *ordeal) bugs() {
	o.t.Helper()
	for _, p := range o.site.procs {
		if at := strings.Index(p.said(), "SQ9"); at >= 0 {
			o.t.Errorf("%s has met a bug: %s", p.label, tail(p.said()[:min(at+1000, len(p.said()))], 2000))
		}
	}
}

// TestThreeFaults injects faults into three processes, the brokers and the input of one job. All other jobs
// continue, and their outputs are those that the oracle computes.
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
	o.bugs()
	told := o.owners()
	commits, handovers := o.chains()
	t.Logf("%d rounds in %.0f s, %v: %d rows read, %d written, as the oracle computes; the longest time without a row of a job was %.1f s, at most %.1f s longer than the brokers' own interruption; %d assignments, no task at two processes in one epoch; %d commits in an unbroken row per task, %d handovers",
		*faults, time.Since(began).Seconds(), o.count, in, out, longest.Seconds(), beyond.Seconds(), told, commits, handovers)
}
