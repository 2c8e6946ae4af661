package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetcher asks the cluster for what the open readers want. All readers of a broker share it, because a node answers the requests of a
// connection one after another: if every reader sent its own, each would wait for the long polls of the others.
//
// Each node has two lanes, with a connection of its own each. The long lane asks for every partition that is wanted and waits at the node
// until one has something. The quick lane asks at once, without waiting there, for the busy partitions that became wanted meanwhile.
//
// mu is held for moments only, never while anything blocks.
type fetcher struct {
	b      *Broker
	quick  *kgo.Client // its own, because a client has one connection per node for fetches
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	feeds    []*feed
	lanes    map[int32][2]*lane
	turn     int           // number of the last request; where it begins to go round the feeds
	order    []*feed       // scratch of inTurn
	buffered int           // bytes of responses that are not walked yet
	scout    chan struct{} // wakes the one who finds leaders
}

const (
	maxBuffered = 64 << 20  // bytes; beyond it only partitions that hold nothing are asked for
	maxQueue    = 2         // responses held per partition: while one is walked the next is on its way
	maxFetch    = 32 << 20  // bytes of one response, apart from one batch that is larger,
	maxBatch    = 128 << 20 // and the largest that is fetched: what is larger is passed over
	nearBytes   = 1 << 20   // asked for per partition close to the end,
	farBytes    = 8 << 20   // and far from it
	farOffsets  = 50_000    // what far is, by the high watermark
	longWait    = 100 * time.Millisecond
)

func newFetcher(b *Broker) (*fetcher, error) {
	quick, err := kgo.NewClient(b.options()...)
	if err != nil {
		return nil, err
	}
	f := &fetcher{b: b, quick: quick, lanes: map[int32][2]*lane{}, scout: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.wg.Go(f.find)
	return f, nil
}

func (f *fetcher) close() {
	f.mu.Lock() // no lane begins after this
	f.cancel()
	f.mu.Unlock()
	f.wg.Wait()
	f.quick.Close()
}

// feed is one partition for one reader. Everything but its constants is guarded by fetcher.mu.
type feed struct {
	span  topic.Span    // constant
	id    topicID       // constant
	ready chan struct{} // constant: wakes the reader

	want  topic.Offset // the next to be asked for
	gen   int          // rises with every seek; an answer to an earlier one is dropped
	queue []response   // of which the first begins at the reader's position
	asked bool         // part of a request on its way
	turn  int          // of the last request it was part of
	hot   bool         // worth a quick request: fresh, or its last answer had something
	doubt bool         // its last answer was empty though there should be more: is it a hole, or did other partitions fill the answer?
	stuck bool         // the last response is broken; the reader decides

	leader  int32 // -1: to be found
	epoch   int32
	outside bool         // its position is out of range: the scout looks how
	hole    topic.Offset // not 0: it is said that nothing is left up to here, which the scout makes sure of
	after   time.Time
	fails   int
	gone    time.Time // since when no such topic is known
	beyond  time.Time // since when the position is behind the end
	end     topic.Offset
	large   int   // bytes of the largest batch seen, if one was larger than what is asked for
	err     error // for good
}

// response is what a node sent of one partition.
type response struct {
	from, next topic.Offset // what its whole batches cover
	raw        []byte
	aborted    []aborted
	hole       bool        // nothing is in [from, next)
	bad        []topic.Bad // it is too large to be fetched
}

// add makes a reader's feeds wanted.
func (f *fetcher) add(feeds []*feed) {
	f.mu.Lock()
	f.feeds = append(f.feeds, feeds...)
	f.mu.Unlock()
	for _, d := range feeds {
		f.wake(d)
	}
}

// remove forgets a reader's feeds; what is on its way for them is dropped.
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

// take gives the reader the next response of a feed, or the error that it ended with.
func (f *fetcher) take(d *feed) (r response, ok bool, err error) {
	f.mu.Lock()
	if len(d.queue) > 0 {
		r, ok = d.queue[0], true
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

// seek drops what is queued and asks again from an offset.
func (f *fetcher) seek(d *feed, at topic.Offset) {
	f.mu.Lock()
	f.drop(d)
	d.want, d.stuck, d.hot = at, false, true
	f.mu.Unlock()
	f.wake(d)
}

// wake lets whoever must act on a feed look at it again. The leader's lanes are begun here.
func (f *fetcher) wake(d *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeLocked(d)
}

func (f *fetcher) wakeLocked(d *feed) {
	if d.leader < 0 {
		signal(f.scout)
		return
	}
	lanes, ok := f.lanes[d.leader]
	if !ok {
		if f.ctx.Err() != nil {
			return
		}
		for i, cl := range []*kgo.Client{f.b.cl, f.quick} {
			lanes[i] = &lane{f: f, node: d.leader, cl: cl, quick: i == 1, wake: make(chan struct{}, 1)}
			f.wg.Go(lanes[i].run)
		}
		f.lanes[d.leader] = lanes
	}
	signal(lanes[0].wake)
	signal(lanes[1].wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wanted reports whether a feed should be asked for. mu is held.
func (f *fetcher) wanted(d *feed) bool {
	room := maxQueue
	if f.buffered >= maxBuffered {
		room = 1
	}
	return d.err == nil && !d.stuck && !d.asked && d.want < d.span.To && len(d.queue) < room
}

// bytes is how much to ask for.
func (d *feed) bytes() int32 {
	n := nearBytes
	if d.end-d.want > farOffsets {
		n = farBytes
	}
	return int32(min(max(n, d.large), maxBatch))
}

// fail ends a feed with an error that only its reader can decide about. mu is held.
func (d *feed) fail(err error) {
	d.err = err
	signal(d.ready)
}

// retreat asks again later, when the leader has been found anew. mu is held.
func (d *feed) retreat() {
	d.leader = -1
	d.after = time.Now().Add(pause(d.fails))
	d.fails++
}
