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

// Open implements topic.Source. Fetches share the bytes of their responses. A fetch may have no
// rows and still advance Next, past transaction markers and compacted records. A partition must
// not be named twice. While nodes are down or leaders move, Poll waits.
func (b *Broker) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	r := &reader{b: b, ready: make(chan struct{}, 1), closed: make(chan struct{})}
	seen := map[topic.Partition]bool{}
	topics := map[string]layout{}
	for _, s := range spans {
		if s.From < 0 || s.To < s.From || seen[s.Partition] {
			return nil, fmt.Errorf(
				"%s: invalid offsets %d to %d: 0 <= from <= to is required, and each partition only once",
				s.Partition,
				s.From,
				s.To,
			)
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
			return nil, fmt.Errorf(
				"topic %q has %d partitions, none with number %d",
				s.Topic,
				len(l.partitions),
				s.ID,
			)
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

// reader reads several spans. One goroutine polls, and any goroutine may close it.
type reader struct {
	b       *Broker
	cursors []*cursor
	feeds   []*feed
	ready   chan struct{}
	once    sync.Once
	closed  chan struct{}
}

// cursor is a reader's position in one partition. It returns rows first of the chunk, then of
// the rest of the response, then of the feed's queue.
type cursor struct {
	feed  *feed
	at    topic.Offset // next offset to return
	chunk topic.Fetch  // decoded rows
	row   int          // index of the next row in chunk
	ahead bool         // chunk has rows, or a hole to report

	resp    response
	rest    []byte       // the part of resp.raw that is not decoded
	active  bool         // resp is not finished
	corrupt topic.Offset // the offset of an invalid batch that was fetched again
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
				return out, nil // the error is returned by the next call
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

// Close implements topic.Reader. A waiting Poll returns.
func (r *reader) Close() error {
	r.once.Do(func() {
		close(r.closed)
		r.b.fetch.remove(r.feeds)
	})
	return nil
}

// next returns up to n rows of the chunk.
func (c *cursor) next(n int) topic.Fetch {
	to := min(c.row+n, c.chunk.Rows())
	f := c.chunk.Slice(c.row, to)
	if c.row = to; to == c.chunk.Rows() {
		c.chunk, c.row, c.ahead = topic.Fetch{}, 0, false
	}
	c.at = f.Next
	return f
}

// fill decodes the next rows if the chunk is finished and data has arrived. more is false if
// the span is exhausted.
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

// walk decodes about one poll's rows of the response into columns.
func (c *cursor) walk(b *Broker) error {
	if c.resp.hole || c.resp.bad != nil {
		c.hold(topic.Fetch{Next: c.resp.next, Bad: c.resp.bad})
		c.resp, c.rest, c.active = response{}, nil, false
		return nil
	}
	var f topic.Fetch
	to := c.feed.span.To
	n, err := batch.Walk(
		&f,
		c.rest,
		batch.Window{
			From:  c.at,
			To:    to,
			Rows:  b.c.PollRecords,
			Visit: c.resp.visible,
			Pass:  true,
			Gate:  &b.inflating,
		},
	)
	if n == 0 && err != nil {
		return c.broken(b, c.at, err)
	}
	c.rest = c.rest[n:]
	if n == 0 && f.Next <= c.at || len(c.rest) == 0 || f.Next >= to { // no complete batch is left
		c.resp, c.rest, c.active = response{}, nil, false
	}
	if f.Next > c.at {
		c.hold(f)
	}
	return nil
}

// hold stores decoded rows until they are returned.
func (c *cursor) hold(f topic.Fetch) {
	f.Partition, f.From = c.feed.span.Partition, c.at
	c.chunk, c.row, c.ahead = f, 0, true
}

// broken fetches an invalid batch once more, because it may have been damaged in transit, and
// then reports it.
func (c *cursor) broken(b *Broker, at topic.Offset, err error) error {
	c.resp, c.rest, c.active = response{}, nil, false
	if c.again && c.corrupt == at {
		return fmt.Errorf(
			"%s: offset %d: the broker's data is invalid, twice in the same way; move the partition's leadership to a broker with a valid replica: %w",
			c.feed.span.Partition,
			at,
			err,
		)
	}
	c.again, c.corrupt = true, at
	b.fetch.seek(c.feed, at)
	return nil
}
