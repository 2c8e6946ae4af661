package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetcher sends the fetch requests of all open readers of a broker. They share it because a
// node processes the requests of one connection in sequence: with a connection per reader, or
// one request per reader, each would wait for the long polls of the others.
//
// Each node has two senders with a connection of their own each. The long sender requests every
// due partition and waits at the node until one has data. The quick sender requests, without
// waiting at the node, the busy partitions that became due meanwhile.
//
// mu is never held during a blocking call.
type fetcher struct {
	b      *Broker
	quick  *kgo.Client // a separate client, because a client has one fetch connection per node
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	feeds    []*feed
	senders  map[int32][2]*sender
	seq      int           // number of the last request, and start of the rotation over the feeds
	order    []*feed       // scratch space of rotation
	buffered int           // bytes of responses that have not been decoded
	finder   chan struct{} // wakes the goroutine that finds leaders
}

// The limits of fetches.
const (
	maxBuffered = 64 << 20  // bytes; above it, only partitions without queued responses are requested
	maxQueue    = 2         // queued responses per partition: the next one is in flight while one is decoded
	maxFetch    = 32 << 20  // bytes of one response, except for a single larger batch
	maxBatch    = 128 << 20 // size limit of such a batch; larger ones are skipped
	nearBytes   = 1 << 20   // bytes requested per partition near its end
	farBytes    = 8 << 20   // bytes requested per partition far from its end
	farOffsets  = 50_000    // distance to the high watermark from which a partition is far
	longWait    = 100 * time.Millisecond
)

// newFetcher starts the goroutine that finds leaders. Senders start when a feed needs them.
func newFetcher(b *Broker) (*fetcher, error) {
	quick, err := kgo.NewClient(b.options()...)
	if err != nil {
		return nil, err
	}
	f := &fetcher{b: b, quick: quick, senders: map[int32][2]*sender{}, finder: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.wg.Go(f.find)
	return f, nil
}

// close ends the senders and returns when they have ended.
func (f *fetcher) close() {
	f.mu.Lock() // no sender starts after this
	f.cancel()
	f.mu.Unlock()
	f.wg.Wait()
	f.quick.Close()
}

// feed is one partition of one reader. fetcher.mu guards all fields except the constant ones.
type feed struct {
	span topic.Span // constant
	id   topicID    // constant
	// ready is shared by the feeds of a reader.
	ready chan struct{} // constant; wakes the reader

	want     topic.Offset // next offset to request
	gen      int          // incremented by every seek; responses to earlier requests are dropped
	queue    []response   // the first begins at the reader's position
	inFlight bool         // part of a request in flight
	seq      int          // number of the last request that included it
	hot      bool         // worth a quick request: new, or its last response had data
	// its last response was empty although there should be data: a hole, or the limits of the
	// request
	doubt bool
	stuck bool // the last response is invalid; the reader decides

	leader  int32 // -1: unknown
	epoch   int32
	outside bool // its position is out of range; the leader finder determines in which direction
	// not 0: a response suggests that nothing exists below this offset, which the leader finder
	// verifies
	hole   topic.Offset
	after  time.Time
	fails  int
	gone   time.Time // since when the topic is unknown
	beyond time.Time // since when the position is after the end
	end    topic.Offset
	large  int   // size of the largest batch, if it exceeded the requested size
	err    error // final
}

// response is one node's data of one partition.
type response struct {
	from, next topic.Offset // the offsets that its complete batches cover
	raw        []byte
	aborted    []aborted
	hole       bool        // [from, next) is empty
	bad        []topic.Bad // too large to be fetched
}

// add starts fetching for a reader's feeds.
func (f *fetcher) add(feeds []*feed) {
	f.mu.Lock()
	f.feeds = append(f.feeds, feeds...)
	f.mu.Unlock()
	for _, d := range feeds {
		f.wake(d)
	}
}

// remove ends fetching for a reader's feeds. Responses in flight are dropped.
func (f *fetcher) remove(feeds []*feed) {
	gone := make(map[*feed]bool, len(feeds))
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range feeds {
		gone[d] = true
		f.drop(d)
	}
	rest := make([]*feed, 0, len(f.feeds))
	for _, d := range f.feeds {
		if !gone[d] {
			rest = append(rest, d)
		}
	}
	f.feeds = rest
}

// drop empties a feed's queue. mu is held.
func (f *fetcher) drop(d *feed) {
	for _, r := range d.queue {
		f.buffered -= len(r.raw)
	}
	d.queue = nil
	d.hole, d.outside = 0, false
	d.gen++
}

// take returns the next response of a feed, or the error that ended it.
// The queue comes before the error: the data that arrived before the feed ended is returned first.
func (f *fetcher) take(d *feed) (r response, ok bool, err error) {
	f.mu.Lock()
	if len(d.queue) > 0 {
		r, ok = d.queue[0], true
		// A new slice, so that the old one does not retain the bytes of the response.
		d.queue = append(d.queue[:0:0], d.queue[1:]...)
		f.buffered -= len(r.raw)
	} else {
		err = d.err
	}
	f.mu.Unlock()
	if ok {
		f.wake(d)
	}
	return r, ok, err
}

// seek empties the queue and continues from an offset.
// A response in flight is dropped when it arrives, because drop has changed gen. The feed stays in
// flight until then.
func (f *fetcher) seek(d *feed, at topic.Offset) {
	f.mu.Lock()
	f.drop(d)
	d.want, d.stuck, d.hot = at, false, true
	f.mu.Unlock()
	f.wake(d)
}

// wake notifies the goroutine that must act on a feed: its reader, its sender or the leader
// finder. It starts the leader's senders.
func (f *fetcher) wake(d *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeLocked(d)
}

// wakeLocked is wake with mu held.
func (f *fetcher) wakeLocked(d *feed) {
	if d.leader < 0 {
		signal(f.finder)
		return
	}
	senders, ok := f.senders[d.leader]
	if !ok {
		// close cancels ctx under mu, so that no sender is added to wg after close has begun to
		// wait.
		if f.ctx.Err() != nil {
			return
		}
		for i, cl := range []*kgo.Client{f.b.cl, f.quick} {
			senders[i] = &sender{f: f, node: d.leader, cl: cl, quick: i == 1, wake: make(chan struct{}, 1)}
			f.wg.Go(senders[i].run)
		}
		f.senders[d.leader] = senders
	}
	signal(senders[0].wake)
	signal(senders[1].wake)
}

// signal makes a receive from c succeed, without blocking.
// c has room for one signal. A pending signal is enough: its receiver looks at everything that has
// changed before.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// due reports whether a feed should be part of a request. mu is held.
func (f *fetcher) due(d *feed) bool {
	// A feed without a queued response is requested even if buffered exceeds its limit. Otherwise a
	// reader that waits for this feed could not proceed, and its other feeds would never be
	// drained.
	room := maxQueue
	if f.buffered >= maxBuffered {
		room = 1
	}
	return d.err == nil && !d.stuck && !d.inFlight && d.want < d.span.To && len(d.queue) < room
}

// bytes returns the size to request.
func (d *feed) bytes() int32 {
	n := nearBytes
	if d.end-d.want > farOffsets {
		n = farBytes
	}
	return int32(min(max(n, d.large), maxBatch))
}

// fail ends a feed with an error that its reader must handle. mu is held.
func (d *feed) fail(err error) {
	d.err = err
	signal(d.ready)
}

// retreat schedules a retry after the leader has been determined again. mu is held.
func (d *feed) retreat() {
	d.leader = -1
	d.after = time.Now().Add(pause(d.fails))
	d.fails++
}
