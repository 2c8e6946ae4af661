package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errNoAnswer reports a partition that is missing in a response.
var errNoAnswer = errors.New("the broker's response does not include the partition")

// deliver passes the parts of a response to the feeds that requested them. The sender's goroutine
// calls it. When it returns, no feed of the order is in flight.
func (f *fetcher) deliver(l *sender, o *order, resp *kmsg.FetchResponse, err error) {
	answers := map[topic.Partition]*kmsg.FetchResponseTopicPartition{}
	total := 0
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err == nil {
		names := map[topicID]string{}
		for i := range o.parts {
			d := o.parts[i].feeds[0]
			names[d.id] = d.span.Topic
		}
		for i := range resp.Topics {
			t := &resp.Topics[i]
			name := t.Topic
			if name == "" {
				name = names[t.TopicID]
			}
			for k := range t.Partitions {
				p := &t.Partitions[k]
				answers[topic.Partition{Topic: name, ID: p.Partition}] = p
				total += len(p.RecordBatches)
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range o.parts {
		p := &o.parts[i]
		answer, failed := answers[p.feeds[0].span.Partition], err
		if answer == nil && failed == nil {
			failed = errNoAnswer
		}
		var r response
		if failed == nil {
			if failed = kerr.ErrorForCode(answer.ErrorCode); failed == nil {
				r = cut(p.want, answer, total)
			}
		}
		for k, d := range p.feeds {
			d.inFlight = false
			switch {
			// The reader has moved since the request, or has ended: the data belongs to another
			// position.
			case d.gen != p.gens[k] || d.err != nil:
			case failed != nil:
				f.failed(d, failed)
			default:
				f.accept(d, r, answer, i == 0)
			}
			// collect has left out the feed while it was in flight, and nothing else would wake a
			// sender for it.
			if d.err == nil && f.due(d) {
				f.wakeLocked(d)
			}
		}
	}
}

// cut finds the offsets that the complete batches of a response cover. It reads only their
// headers; the reader validates the contents.
func cut(want topic.Offset, answer *kmsg.FetchResponseTopicPartition, total int) response {
	raw := answer.RecordBatches
	r := response{from: want, next: want}
	at := 0
	for at < len(raw) {
		h, err := batch.Peek(raw[at:])
		if err != nil && !errors.Is(err, batch.ErrShort) {
			at = len(raw) // the reader reports the error
			break
		}
		if err != nil || h.Size > len(raw)-at {
			break
		}
		at += h.Size
		r.next = max(r.next, h.Next())
	}
	if r.raw = raw[:at:at]; 4*at < total {
		// a small part must not keep the bytes of the whole response in memory
		r.raw = append([]byte(nil), r.raw...)
	}
	for _, a := range answer.AbortedTransactions {
		r.aborted = append(r.aborted, aborted{producer: a.ProducerID, from: topic.Offset(a.FirstOffset)})
	}
	return r
}

// accept queues a feed's part of a response. first: the feed was the first partition of the
// request, so limits do not explain an empty part. mu is held.
func (f *fetcher) accept(d *feed, r response, answer *kmsg.FetchResponseTopicPartition, first bool) {
	d.fails, d.gone, d.beyond = 0, time.Time{}, time.Time{}
	d.end = topic.Offset(answer.HighWatermark)
	stable := topic.Offset(answer.LastStableOffset)
	if stable < 0 {
		stable = d.end
	}
	d.hot = true
	switch {
	case len(r.raw) > 0:
		d.doubt = false
		d.stuck = r.next <= d.want // no valid batch at its start
		d.note(r.raw)
	// The reader is at the end of the decided transactions. The long sender requests the feed
	// again, and waits at the node.
	case stable <= d.want:
		d.doubt, d.hot = false, false
		return
	case len(answer.RecordBatches) > 0: // one batch, truncated
		h, err := batch.Peek(answer.RecordBatches)
		if err == nil && h.Size > maxBatch && h.Base <= d.want && d.want < h.Next() {
			r.next = min(h.Next(), d.span.To)
			r.bad = []topic.Bad{{From: d.want, To: r.next, Time: h.MaxTime, Size: int64(h.Size),
				Err: fmt.Errorf("%w: a batch of %d bytes, the limit is %d", topic.ErrOversized, h.Size, maxBatch)}}
			break
		}
		if err == nil {
			d.large = max(d.large, h.Size)
		}
		d.large, d.doubt = max(d.large, 2*int(d.bytes())), true
		return
	case !first: // other partitions may have filled the response
		d.doubt = true
		return
	default: // the response suggests that [want, stable) is empty: the end of the log was compacted
		d.doubt = false
		d.hole, d.leader = min(stable, d.span.To), -1
		f.wakeLocked(d)
		return
	}
	f.push(d, r)
}

// push queues a response for a feed's reader. mu is held.
func (f *fetcher) push(d *feed, r response) {
	d.queue = append(d.queue, r)
	d.want = max(d.want, r.next)
	f.buffered += len(r.raw)
	signal(d.ready)
}

// note records the size of a batch that exceeds the requested size; the next one may be as
// large.
func (d *feed) note(raw []byte) {
	if h, err := batch.Peek(raw); err == nil && h.Size > int(d.bytes()) {
		d.large = 2 * h.Size
	}
}

// failed handles an error of a feed. Nearly all are retried. mu is held.
func (f *fetcher) failed(d *feed, err error) {
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		d.outside = true
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		d.fail(f.b.explain(err, fmt.Sprintf("read topic %q", d.span.Topic)))
		return
	case refusedLogin(err) && d.fails >= 3:
		d.fail(f.b.explain(err, "connect"))
		return
	case errors.Is(err, kerr.UnsupportedCompressionType),
		errors.Is(err, kerr.UnsupportedForMessageFormat),
		errors.Is(err, kerr.UnsupportedVersion):
		d.fail(fmt.Errorf("%s: offset %d cannot be read from this cluster: %w", d.span.Partition, d.want, err))
		return
	}
	d.retreat()
	f.wakeLocked(d)
}
