//go:build synctests

package storm

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// trap acts on a future request.
type trap struct {
	key   int16
	skip  int // number of matching requests to pass first
	match func(kmsg.Request) bool
	act   func() (lost bool)
}

// spring is the control function for every request at the cluster.
func (w *world) spring(req kmsg.Request) (kmsg.Response, error, bool) {
	if resp := w.unstick(req); resp != nil {
		w.fake.KeepControl()
		return resp, nil, true
	}
	w.mu.Lock()
	w.met(req)
	var hit *trap
	for i, t := range w.traps {
		if t.key != req.Key() || t.match != nil && !t.match(req) {
			continue
		}
		if t.skip--; t.skip < 0 {
			hit = t
			w.traps = append(w.traps[:i:i], w.traps[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	if hit == nil {
		return nil, nil, false
	}
	w.note("%s springs a trap", kmsg.NameForKey(req.Key()))
	if hit.act() {
		w.fake.KeepControl()
		return nil, errReset, true
	}
	return nil, nil, false
}

func (w *world) lay(t *trap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.traps = append(w.traps, t)
}

// ends matches the request that ends a transaction of the process.
func (p *process) ends(req kmsg.Request) bool {
	r, ok := req.(*kmsg.EndTxnRequest)
	return ok && (p.dir == "" || p.named(r.TransactionalID))
}

// storm injects the faults.
func (w *world) storm() {
	steps := 14 + w.roll(8)
	for n := 0; n < 60 && (n < steps || w.killed() < 8); n++ {
		time.Sleep(time.Duration(w.roll(8000)) * time.Millisecond)
		w.step(w.processes[w.roll(len(w.processes))])
	}
}

func (w *world) killed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kills
}

var moments = []kmsg.Key{kmsg.Produce, kmsg.Fetch, kmsg.TxnOffsetCommit, kmsg.InitProducerID, kmsg.OffsetFetch,
	kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat,
	kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.ListOffsets, kmsg.Metadata}

// step injects one fault, usually into a process.
func (w *world) step(p *process) {
	switch w.roll(16) {
	case 0, 1, 2:
		p.kill("at any moment")
	case 3:
		w.lay(&trap{key: int16(kmsg.EndTxn), skip: w.roll(4), match: p.ends,
			act: func() bool { p.kill("its EndTxn is lost"); return true }})
	case 4:
		w.lay(&trap{key: int16(kmsg.EndTxn), skip: w.roll(4), match: p.ends,
			act: func() bool { p.kill("the answer to its EndTxn is lost"); return false }})
	case 5:
		w.lay(&trap{key: int16(kmsg.EndTxn), skip: w.roll(4), match: p.ends,
			act: func() bool { w.note("EndTxn is lost"); return true }})
	case 6:
		w.lay(&trap{key: int16(kmsg.EndTxn), skip: w.roll(4), match: p.ends, act: func() bool { w.deafen(p); return false }})
	case 7:
		key := moments[w.roll(len(moments))]
		lost := w.roll(2) == 0
		w.lay(&trap{key: int16(key), skip: w.roll(20), act: func() bool { p.kill("at a " + key.Name()); return lost }})
	case 8:
		key := moments[w.roll(len(moments))]
		w.lay(&trap{key: int16(key), skip: w.roll(20), act: func() bool { w.note("%s is lost", key.Name()); return true }})
	case 9:
		w.note("leaders and coordinators move")
		w.fake.ShufflePartitionLeaders()
		w.fake.RehashCoordinators()
	case 10:
		w.brokerAway()
	case 11:
		w.network(p, "stalls", 100, (*cord).stall, (*cord).resume)
	case 12:
		p.leave(time.Duration(w.roll(10_000)) * time.Millisecond)
	case 13:
		d := time.Duration(1+w.roll(2000)) * time.Millisecond
		w.network(p, "is slow", 30, func(c *cord) { c.set(func() { c.slow = d }) }, (*cord).mend)
	case 14:
		d := time.Duration(1+w.roll(30)) * time.Second
		w.network(p, "is late", 30, func(c *cord) { c.set(func() { c.late = d }); c.drop("") }, (*cord).mend)
	case 15:
		w.errors()
		return
	}
	w.mu.Lock()
	w.faults++
	w.mu.Unlock()
}

// network injects a fault into a process's network for up to some seconds.
func (w *world) network(p *process, what string, seconds int, begin, end func(*cord)) {
	w.mu.Lock()
	l := p.life
	w.mu.Unlock()
	if l == nil {
		return
	}
	for_ := time.Duration(w.roll(seconds*1000)) * time.Millisecond
	w.note("p%d.%d's network %s for %s", p.id, l.n, what, for_)
	begin(l.line)
	w.later(for_, func() {
		w.note("p%d.%d's network is well again", p.id, l.n)
		end(l.line)
	})
}

// deafen loses the responses to a process for a while, starting with the pending one.
func (w *world) deafen(p *process) {
	w.network(p, "loses answers", 8, func(c *cord) { c.set(func() { c.deaf = true }) }, (*cord).mend)
}

// brokerAway disconnects a broker, with or without a change of its leaderships.
func (w *world) brokerAway() {
	addresses := w.fake.ListenAddrs()
	address := addresses[w.roll(len(addresses))]
	d := time.Duration(w.roll(60_000)) * time.Millisecond
	w.note("broker %s is away for %s", address, d)
	w.brokers.Lock()
	w.down[address] = true
	w.brokers.Unlock()
	for _, c := range w.all() {
		c.drop(address)
	}
	if w.roll(2) == 0 {
		w.later(time.Duration(w.roll(5000))*time.Millisecond, w.fake.ShufflePartitionLeaders)
	}
	w.later(d, func() {
		w.note("broker %s is back", address)
		w.brokers.Lock()
		delete(w.down, address)
		w.brokers.Unlock()
	})
}

// errors makes the cluster return errors for a while.
func (w *world) errors() {
	kinds := []kfake.Fault{
		{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition},
		{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas},
		{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition},
		{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.UnknownServerError},
		{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.NotCoordinator},
		{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress},
		{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.UnstableOffsetCommit},
		{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorNotAvailable},
		{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ConcurrentTransactions},
		{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ConcurrentTransactions, TopLevel: true},
		{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.NotCoordinator, TopLevel: true},
		{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.CoordinatorLoadInProgress, TopLevel: true},
		{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.LeaderNotAvailable},
	}
	f := kinds[w.roll(len(kinds))]
	f.Count = 1 + w.roll(5)
	w.note("%d times %s to %s", f.Count, f.Err.Message, f.Keys[0].Name())
	h := w.fake.Fault(f)
	w.later(time.Minute, h.Remove)
	w.mu.Lock()
	w.faults++
	w.mu.Unlock()
}
