package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

var (
	errReaderClosed = errors.New("the reader is closed")
	errClosed       = errors.New("kafka: the broker is closed")
)

// Open implements topic.Source. Fetches share the bytes of the responses they came in. A fetch may have no rows and yet move Next, over
// what transactions and compaction leave behind. A partition may not be named twice. While nodes are away or leaders move, Poll waits.
func (b *Broker) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	r := &reader{b: b, ready: make(chan struct{}, 1), closed: make(chan struct{})}
	seen := map[topic.Partition]bool{}
	topics := map[string]layout{}
	for _, s := range spans {
		if s.From < 0 || s.To < s.From || seen[s.Partition] {
			return nil, fmt.Errorf("%s: offsets %d to %d: want 0 <= from <= to, and each partition once", s.Partition, s.From, s.To)
		}
		seen[s.Partition] = true
		l, ok := topics[s.Topic]
		if !ok {
			var err error
			if l, err = b.layout(ctx, s.Topic); err != nil {
				return nil, err
			}
			topics[s.Topic] = l
		}
		if s.ID < 0 || int(s.ID) >= len(l.partitions) {
			return nil, fmt.Errorf("topic %q has %d partitions, none with number %d", s.Topic, len(l.partitions), s.ID)
		}
		at := l.partitions[s.ID]
		d := &feed{span: s, id: l.id, ready: r.ready, want: s.From, hot: true, leader: at.leader, epoch: at.epoch}
		r.cursors = append(r.cursors, &cursor{feed: d, at: s.From})
		r.feeds = append(r.feeds, d)
	}
	if b.ctx.Err() != nil {
		return nil, errClosed
	}
	b.fetch.add(r.feeds)
	return r, nil
}

// reader serves several spans. One goroutine polls, any may close.
type reader struct {
	b       *Broker
	cursors []*cursor
	feeds   []*feed
	ready   chan struct{}
	once    sync.Once
	closed  chan struct{}
}

// cursor is a reader's place in one partition: first the chunk, then the rest of the response, then the feed's queue.
type cursor struct {
	feed  *feed
	at    topic.Offset // next offset to be given out
	chunk topic.Fetch  // rows walked ahead
	row   int          // the next of them
	ahead bool         // there are some, or a hole to report

	resp    response
	rest    []byte       // of resp.raw, not walked yet
	active  bool         // resp is not done with
	corrupt topic.Offset // where a broken batch was met and asked for again
	again   bool
}

// Poll implements topic.Reader.
func (r *reader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-r.closed:
			return nil, errReaderClosed
		case <-r.b.ctx.Done():
			return nil, errClosed
		default:
		}
		var out []topic.Fetch
		open := false
		for _, c := range r.cursors {
			more, err := c.fill(r.b)
			if err != nil && len(out) == 0 {
				return nil, err
			}
			if err != nil {
				return out, nil // the error comes again
			}
			open = open || more
			if c.ahead {
				out = append(out, c.next(r.b.c.PollRecords))
			}
		}
		switch {
		case len(out) > 0:
			return out, nil
		case !open:
			return nil, io.EOF
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
		case <-r.closed:
		case <-r.b.ctx.Done():
		}
	}
}

// Close implements topic.Reader; a Poll that waits returns.
func (r *reader) Close() error {
	r.once.Do(func() {
		close(r.closed)
		r.b.fetch.remove(r.feeds)
	})
	return nil
}

// next gives out up to n rows of the chunk.
func (c *cursor) next(n int) topic.Fetch {
	to := min(c.row+n, c.chunk.Rows())
	f := c.chunk.Slice(c.row, to)
	if c.row = to; to == c.chunk.Rows() {
		c.chunk, c.row, c.ahead = topic.Fetch{}, 0, false
	}
	c.at = f.Next
	return f
}

// fill walks ahead when there is nothing walked and something has come. more is false when the span is exhausted.
func (c *cursor) fill(b *Broker) (more bool, err error) {
	for !c.ahead {
		if c.at >= c.feed.span.To {
			return false, nil
		}
		if !c.active {
			r, ok, err := b.fetch.take(c.feed)
			if err != nil || !ok {
				return true, err
			}
			if err := endAborted(&r, c.feed.span.To); err != nil {
				if err := c.broken(b, c.at, err); err != nil {
					return false, err
				}
				continue
			}
			c.resp, c.rest, c.active = r, r.raw, true
		}
		if err := c.walk(b); err != nil {
			return false, err
		}
	}
	return true, nil
}

// walk brings about a poll's rows of the response into columns.
func (c *cursor) walk(b *Broker) error {
	if c.resp.hole || c.resp.bad != nil {
		c.hold(topic.Fetch{Next: c.resp.next, Bad: c.resp.bad})
		c.resp, c.rest, c.active = response{}, nil, false
		return nil
	}
	var f topic.Fetch
	to := c.feed.span.To
	n, err := batch.Walk(&f, c.rest, batch.Window{From: c.at, To: to, Rows: b.c.PollRecords, Visit: c.resp.visible, Pass: true, Gate: &b.inflating})
	if n == 0 && err != nil {
		return c.broken(b, c.at, err)
	}
	c.rest = c.rest[n:]
	if n == 0 && f.Next <= c.at || len(c.rest) == 0 || f.Next >= to { // nothing whole is left
		c.resp, c.rest, c.active = response{}, nil, false
	}
	if f.Next > c.at {
		c.hold(f)
	}
	return nil
}

// hold keeps what was walked until it is given out.
func (c *cursor) hold(f topic.Fetch) {
	f.Partition, f.From = c.feed.span.Partition, c.at
	c.chunk, c.row, c.ahead = f, 0, true
}

// broken asks once more for a batch that does not stand its checks: it may have been hurt on the way.
func (c *cursor) broken(b *Broker, at topic.Offset, err error) error {
	c.resp, c.rest, c.active = response{}, nil, false
	if c.again && c.corrupt == at {
		return fmt.Errorf("%s: offset %d: the broker's bytes are broken, twice alike; have the partition led by a broker with a sound copy: %w", c.feed.span.Partition, at, err)
	}
	c.again, c.corrupt = true, at
	b.fetch.seek(c.feed, at)
	return nil
}
