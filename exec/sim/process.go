package sim

import (
	"context"
	"fmt"
	"io"

	"github.com/streamql/streamql/topic"
)

// process is one process of a worker, with its client of the cluster and its disk. It
// implements topic.Broker. Every call may be its last, before or after its effect, and other
// processes may run during the call.
type process struct {
	w        *world
	instance int
	disk     *disk
	dead     bool
	frozen   bool // suspended: its sessions expire
	busy     bool // it is in the middle of a step
}

// killed is the panic that ends a process in the middle of a call.
type killed struct{ p *process }

// silent reports whether the coordinator receives nothing from a process.
func (p *process) silent() bool { return p.dead || p.frozen }

// touch is a point at which anything may happen to the process or around it.
func (p *process) touch(what string) {
	w := p.w
	if p.dead {
		panic(killed{p})
	}
	w.pass(int64(w.pick(6)))
	if w.calm {
		return
	}
	killEvery := w.conf.killEvery
	if w.one(15) {
		w.note("worker %d flushes", p.instance)
		p.disk.flush()
		killEvery /= 10 // crashes just after a flush are the most important ones
	}
	if w.kills > 0 && w.one(killEvery) {
		w.kill(p, what)
		panic(killed{p})
	}
	if w.one(12) {
		w.cluster.some()
	}
	if w.depth < 2 && w.one(80) {
		w.meanwhile(p, what)
	}
}

// wait is the end of a call that would block. It returns an error if ctx has ended; whether it
// does is random, because the result may also be available at once.
func (p *process) wait(ctx context.Context) error {
	if p.w.one(2) && ctx.Err() != nil {
		return ctx.Err()
	}
	p.touch("wait")
	if !p.w.cluster.some() {
		p.w.pass(int64(50 + p.w.pick(200)))
	}
	return nil
}

// Describe implements topic.Source.
func (p *process) Describe(_ context.Context, name string) (topic.Topic, error) {
	p.touch("describe")
	l := p.w.cluster.topics[name]
	if l == nil {
		return topic.Topic{}, fmt.Errorf("%s: %w", name, topic.ErrUnknownTopic)
	}
	return l.describe(), nil
}

// Open implements topic.Source.
func (p *process) Open(_ context.Context, spans []topic.Span) (topic.Reader, error) {
	p.touch("open")
	r := &reader{p: p}
	for _, s := range spans {
		part, err := p.w.cluster.partition(s.Partition)
		if err != nil {
			return nil, err
		}
		r.lanes = append(r.lanes, lane{part, s.To, s.From})
	}
	return r, nil
}

// Join implements topic.Broker.
func (p *process) Join(_ context.Context, g topic.Group) (topic.Member, error) {
	p.touch("join")
	c := p.w.cluster
	id := fmt.Sprintf("%s.%d", g.Name, p.instance)
	var pr *producer
	if p.w.bug == noFence && c.producers[id] != nil {
		pr = c.producers[id]
	} else {
		pr = c.fence(id)
	}
	m := c.join(p, g)
	m.product = pr
	p.w.note("worker %d joins as member %d", p.instance, m.id)
	p.touch("joined")
	return m, nil
}

// Begin implements topic.Sink: a transaction outside the group, with an id of its own.
func (p *process) Begin(_ context.Context, id string) (topic.Txn, error) {
	p.touch("begin")
	m := &member{p: p, product: p.w.cluster.fence(fmt.Sprintf("%s.%d", id, p.instance))}
	return &turn{m: m, ends: map[topic.Partition]topic.Offset{}}, nil
}

// Close implements topic.Broker.
func (p *process) Close() error { return nil }

// reader is a cursor per span. A faulty client may be at a wrong offset, which it reports
// correctly.
type reader struct {
	p     *process
	lanes []lane
}

type lane struct {
	part *partition
	to   topic.Offset
	at   topic.Offset
}

// Poll implements topic.Reader.
func (r *reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		r.p.touch("poll")
		ended := 0
		for i := range r.lanes {
			l := &r.lanes[i]
			f, err := r.lane(l)
			if err == io.EOF {
				ended++
				continue
			}
			if err != nil || f.Next > f.From {
				return []topic.Fetch{f}, err
			}
		}
		if ended == len(r.lanes) {
			return nil, io.EOF
		}
		if err := r.p.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// lane reads one span.
func (r *reader) lane(l *lane) (topic.Fetch, error) {
	w, c := r.p.w, r.p.w.cluster
	if now, err := c.partition(l.part.Partition); err != nil || now != l.part {
		return topic.Fetch{}, fmt.Errorf("%s: %w", l.part.Partition, topic.ErrTopicReplaced)
	}
	if !w.calm && w.conf.badClient && w.one(60) {
		by := topic.Offset(w.pick(7) - 3)
		// Not up to the end: that would be detectable only when something arrives.
		if at := l.at + by; at >= l.part.start && at < min(l.part.readable(), l.to) {
			w.faults++
			w.note("the client of worker %d is at %d of %s, not at %d", r.p.instance, at, l.part.Partition, l.at)
			l.at = at
		}
	}
	if l.at >= l.to {
		return topic.Fetch{}, io.EOF
	}
	if l.at < l.part.start {
		return topic.Fetch{}, topic.ErrGap{Span: topic.Span{Partition: l.part.Partition, From: l.at, To: l.part.start}}
	}
	limit := min(l.part.readable(), l.to)
	if l.at >= limit {
		return topic.Fetch{From: l.at, Next: l.at}, nil
	}
	f := l.part.fetch(l.at, limit, 1+w.pick(w.conf.fetch))
	l.at = f.Next
	return f, nil
}

// Close implements topic.Reader.
func (r *reader) Close() error { return nil }
