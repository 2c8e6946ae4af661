package kafka

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sender sends fetch requests to one node, one at a time.
type sender struct {
	f     *fetcher
	node  int32
	cl    *kgo.Client
	quick bool
	wake  chan struct{}
	// The fields above are constant. wake has room for one signal.
	away bool // a request is in flight; guarded by fetcher.mu
}

// order is a request and the feeds that wait for its parts.
// The sender's goroutine owns it from collect to deliver.
type order struct {
	parts []part
	ids   bool // all topics have one
}

// part is one partition of a request. Feeds at the same position share it.
type part struct {
	feeds []*feed
	gens  []int
	want  topic.Offset
	bytes int32
}

// run sends requests until the fetcher closes or the client fails.
func (l *sender) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		o, later := l.collect()
		if len(o.parts) == 0 {
			timer.Reset(later)
			select {
			case <-l.wake:
			case <-timer.C:
			case <-l.f.ctx.Done():
				return
			}
			continue
		}
		resp, err := l.send(&o)
		if l.f.ctx.Err() != nil {
			return
		}
		l.f.deliver(l, &o, resp, err)
	}
}

// collect builds a request of the due feeds of this node. If there are none, later is when
// to check again.
func (l *sender) collect() (o order, later time.Duration) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	later = time.Hour
	// The last request has been delivered by now, because a sender has one request in flight at
	// most.
	l.away = false
	if l.quick && !f.senders[l.node][0].away { // the long sender is idle and will request them
		return o, later
	}
	o.ids = true
	at := map[topic.Partition]int{}
	f.seq++
	feeds := f.rotation()
	for _, doubt := range []bool{true, false} {
		// the first partition of a request gets at least one batch, whatever the limits
		for _, d := range feeds {
			if d.leader != l.node || d.doubt != doubt || !f.due(d) || l.quick && !d.hot {
				continue
			}
			if wait := d.after.Sub(now); wait > 0 {
				later = min(later, wait)
				continue
			}
			o.add(d, at, f.seq)
		}
	}
	l.away = len(o.parts) > 0
	// The quick sender may request the feeds that become due while this request waits at the node.
	if l.away && !l.quick {
		signal(f.senders[l.node][1].wake)
	}
	return o, later
}

// rotation returns the feeds, those with the oldest request first. Two feeds at different
// positions of one partition cannot share a request and alternate. mu is held.
func (f *fetcher) rotation() []*feed {
	n := len(f.feeds)
	f.order = f.order[:0]
	for i := range n {
		f.order = append(f.order, f.feeds[(i+f.seq)%n])
	}
	slices.SortStableFunc(f.order, func(a, b *feed) int { return cmp.Compare(a.seq, b.seq) })
	return f.order
}

// add adds a feed to the request, unless the request already has its partition at another
// position.
func (o *order) add(d *feed, at map[topic.Partition]int, seq int) {
	i, have := at[d.span.Partition]
	if !have {
		i = len(o.parts)
		at[d.span.Partition] = i
		o.parts = append(o.parts, part{want: d.want})
	}
	p := &o.parts[i]
	if have && (p.want != d.want || p.feeds[0].id != d.id || p.feeds[0].epoch != d.epoch) {
		return
	}
	p.feeds, p.gens = append(p.feeds, d), append(p.gens, d.gen)
	p.bytes = max(p.bytes, d.bytes())
	o.ids = o.ids && d.id != topicID{}
	// From here until deliver, no other sender requests the feed.
	d.inFlight, d.seq = true, seq
}

// send sends the request. Fetch sessions are not used, because the set of partitions changes
// with every request.
func (l *sender) send(o *order) (*kmsg.FetchResponse, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MinBytes, req.MaxBytes, req.IsolationLevel = 1, maxFetch, 1
	req.SessionID, req.SessionEpoch = 0, -1
	if req.MaxWaitMillis = int32(longWait.Milliseconds()); l.quick {
		req.MaxWaitMillis = 0
	}
	index := map[string]int{}
	for i := range o.parts {
		p := &o.parts[i]
		d := p.feeds[0]
		k, ok := index[d.span.Topic]
		if !ok {
			k = len(req.Topics)
			index[d.span.Topic] = k
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = d.span.Topic, d.id
			req.Topics = append(req.Topics, t)
		}
		one := kmsg.NewFetchRequestTopicPartition()
		one.Partition, one.CurrentLeaderEpoch = d.span.ID, d.epoch
		one.FetchOffset, one.PartitionMaxBytes = int64(p.want), p.bytes
		req.Topics[k].Partitions = append(req.Topics[k].Partitions, one)
	}
	ctx, cancel := context.WithTimeout(l.f.ctx, longWait+l.f.b.c.requestTimeout())
	defer cancel()
	var kreq kmsg.Request = req
	if !o.ids {
		kreq = fetchByName{req}
	}
	resp, err := l.cl.Broker(int(l.node)).Request(ctx, kreq)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.FetchResponse), nil
}

// fetchByName is a request in the last version with topic names; clusters before 2.8 have no
// topic ids.
type fetchByName struct{ *kmsg.FetchRequest }

// MaxVersion implements the client library's version limit.
func (fetchByName) MaxVersion() int16 { return 12 }

// requestTimeout is how long a connected node may take to respond.
func (c *Config) requestTimeout() time.Duration { return min(c.RetryTimeout, 15*time.Second) }
