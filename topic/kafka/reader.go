package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
)

var errClosed = errors.New("kafka: the broker is closed")

// Open implements topic.Source. Fetches share the bytes of their responses. A fetch may have no
// rows and still advance Next, past transaction markers and compacted records. A partition must
// not be named twice. While nodes are down or leaders move, Poll waits.
func (b *Broker) Open(ctx context.Context, spans []topic.Span) (topic.Reader, error) {
	if err := batch.Check(spans); err != nil {
		return nil, err
	}
	ready := make(chan struct{}, 1)
	var cursors []batch.Filler
	var feeds []*feed
	topics := map[string]layout{}
	for _, s := range spans {
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
		d := &feed{span: s, id: l.id, ready: ready, want: s.From, hot: true, leader: at.leader, epoch: at.epoch}
		cursors = append(cursors, &cursor{Cursor: batch.Cursor{Span: s, At: s.From}, b: b, feed: d})
		feeds = append(feeds, d)
	}
	if b.ctx.Err() != nil {
		return nil, errClosed
	}
	look := func() (batch.Signals, error) {
		if b.ctx.Err() != nil {
			return batch.Signals{}, errClosed
		}
		return batch.Signals{Changed: ready, Gone: b.ctx.Done()}, nil
	}
	b.fetch.add(feeds)
	return batch.NewReader(cursors, b.c.PollRecords, look, func() { b.fetch.remove(feeds) }), nil
}

// cursor is a reader's position in one partition. It returns rows first of its chunk, then of
// the rest of the response, then of the feed's queue.
type cursor struct {
	batch.Cursor
	b    *Broker
	feed *feed

	resp    response
	rest    []byte       // the part of resp.raw that is not decoded
	active  bool         // resp is not finished
	corrupt topic.Offset // the offset of an invalid batch that was fetched again
	again   bool
}

// Fill implements batch.Filler: it decodes the next rows if the chunk is finished and data has arrived.
func (c *cursor) Fill() (more bool, err error) {
	for !c.Ahead() {
		if c.At >= c.Span.To {
			return false, nil
		}
		if !c.active {
			r, ok, err := c.b.fetch.take(c.feed)
			if err != nil || !ok {
				return true, err
			}
			if err := endAborted(&r, c.Span.To); err != nil {
				if err := c.broken(c.At, err); err != nil {
					return false, err
				}
				continue
			}
			c.resp, c.rest, c.active = r, r.raw, true
		}
		if err := c.walk(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// walk decodes about one poll's rows of the response into columns.
func (c *cursor) walk() error {
	if c.resp.hole || c.resp.bad != nil {
		c.Hold(topic.Fetch{Next: c.resp.next, Bad: c.resp.bad})
		c.resp, c.rest, c.active = response{}, nil, false
		return nil
	}
	var f topic.Fetch
	to := c.Span.To
	n, err := batch.Walk(
		&f,
		c.rest,
		batch.Window{
			From:  c.At,
			To:    to,
			Rows:  c.b.c.PollRecords,
			Visit: c.resp.visible,
			Pass:  true,
			Gate:  &c.b.inflating,
		},
	)
	if n == 0 && err != nil {
		return c.broken(c.At, err)
	}
	c.rest = c.rest[n:]
	if n == 0 && f.Next <= c.At || len(c.rest) == 0 || f.Next >= to { // no complete batch is left
		c.resp, c.rest, c.active = response{}, nil, false
	}
	if f.Next > c.At {
		c.Hold(f)
	}
	return nil
}

// broken fetches an invalid batch once more, because it may have been damaged in transit, and
// then reports it.
func (c *cursor) broken(at topic.Offset, err error) error {
	c.resp, c.rest, c.active = response{}, nil, false
	if c.again && c.corrupt == at {
		return fmt.Errorf(
			"%s: offset %d: the broker's data is invalid, twice in the same way; move the partition's leadership to a broker with a valid replica: %w",
			c.Span.Partition,
			at,
			err,
		)
	}
	c.again, c.corrupt = true, at
	c.b.fetch.seek(c.feed, at)
	return nil
}
