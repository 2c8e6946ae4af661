package kafka

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/batch"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

// pollUntil polls until the rows have arrived or an error occurs.
func pollUntil(t testing.TB, r topic.Reader, f *follow, rows int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(f.rows) < rows {
		fetches, err := r.Poll(ctx)
		if err != nil {
			return err
		}
		f.take(fetches)
	}
	return nil
}

func openLive(c *cluster, p topic.Partition, from topic.Offset) (topic.Reader, *follow) {
	c.t.Helper()
	spans := []topic.Span{{Partition: p, From: from, To: topic.End}}
	r, err := c.Open(c.t.Context(), spans)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { r.Close() })
	return r, newFollow(c.t, spans)
}

func TestLeaderMoves(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer()
	r, f := openLive(c, p, 0)
	for n := range 20 {
		write(t, cl, p, 10*n, 10*n+10)
		if err := pollUntil(t, r, f, 10*n+10); err != nil {
			t.Fatal(err)
		}
		if err := c.fake.MoveTopicPartition(p.Topic, 0, (c.fake.LeaderFor(p.Topic, 0)+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	same(t, values(f.rows), numbers(0, 200))
}

// TestPassingErrors: responses with these errors, and broken connections, are retried.
func TestPassingErrors(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer()
	r, f := openLive(c, p, 0)
	codes := []*kerr.Error{
		kerr.NotLeaderForPartition,
		kerr.FencedLeaderEpoch,
		kerr.UnknownLeaderEpoch,
		kerr.UnknownTopicID,
		kerr.OffsetOutOfRange,
		kerr.KafkaStorageError,
		kerr.UnknownServerError,
		kerr.CorruptMessage,
		nil,
	}
	for n, e := range codes {
		broken := 0
		c.fake.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
			if broken++; broken > 2 {
				return nil, nil, false
			}
			c.fake.KeepControl()
			if e == nil {
				return nil, errors.New("cut"), true
			}
			in := req.(*kmsg.FetchRequest)
			resp := in.ResponseKind().(*kmsg.FetchResponse)
			for _, it := range in.Topics {
				ot := kmsg.NewFetchResponseTopic()
				ot.Topic, ot.TopicID = it.Topic, it.TopicID
				for _, ip := range it.Partitions {
					op := kmsg.NewFetchResponseTopicPartition()
					op.Partition, op.ErrorCode = ip.Partition, e.Code
					ot.Partitions = append(ot.Partitions, op)
				}
				resp.Topics = append(resp.Topics, ot)
			}
			return resp, nil, true
		})
		write(t, cl, p, 10*n, 10*n+10)
		if err := pollUntil(t, r, f, 10*n+10); err != nil {
			t.Fatalf("%v: %v", e, err)
		}
	}
	same(t, values(f.rows), numbers(0, 10*len(codes)))
}

// TestCorruptBatch: a batch that was damaged in transit is fetched again. One that stays
// invalid is an error with its offset.
func TestCorruptBatch(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer()
	for n := range 3 {
		write(t, cl, p, 10*n, 10*n+10)
	}
	good := c.fetchRaw(p)
	for _, times := range []int{1, 1000} {
		n := 0
		c.fake.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
			in := req.(*kmsg.FetchRequest)
			if n++; n > times || in.Topics[0].Partitions[0].FetchOffset >= 30 {
				return nil, nil, false
			}
			c.fake.KeepControl()
			at := skipTo(good, topic.Offset(in.Topics[0].Partitions[0].FetchOffset))
			raw := append([]byte(nil), good[at:]...)
			if h, _ := batch.Peek(good); at <= h.Size {
				raw[h.Size-at+70] ^= 1 // in the second batch
			}
			resp := in.ResponseKind().(*kmsg.FetchResponse)
			ot := kmsg.NewFetchResponseTopic()
			ot.Topic, ot.TopicID = in.Topics[0].Topic, in.Topics[0].TopicID
			op := kmsg.NewFetchResponseTopicPartition()
			op.HighWatermark, op.LastStableOffset, op.RecordBatches = 30, 30, raw
			ot.Partitions = append(ot.Partitions, op)
			resp.Topics = append(resp.Topics, ot)
			return resp, nil, true
		})
		r, f := openLive(c, p, 0)
		err := pollUntil(t, r, f, 30)
		if times == 1 && err != nil {
			t.Fatal(err)
		}
		if times > 1 &&
			(!errors.Is(err, batch.ErrCorrupt) || !strings.Contains(err.Error(), p.String()) || !strings.Contains(err.Error(), "offset 10")) {
			t.Fatal(err)
		}
		if times > 1 {
			same(t, values(f.rows), numbers(0, 10))
		}
		r.Close()
	}
}

func (c *cluster) fetchRaw(p topic.Partition) []byte {
	c.t.Helper()
	l, err := c.layout(c.t.Context(), p.Topic)
	if err != nil {
		c.t.Fatal(err)
	}
	ln := &sender{f: c.Broker.fetch, node: l.partitions[0].leader, cl: c.cl}
	d := &feed{span: whole(p, topic.End), id: l.id, epoch: -1}
	resp, err := ln.send(&order{ids: true, parts: []part{{feeds: []*feed{d}, bytes: 1 << 20}}})
	if err != nil {
		c.t.Fatal(err)
	}
	return append([]byte(nil), resp.Topics[0].Partitions[0].RecordBatches...)
}

func skipTo(raw []byte, at topic.Offset) (n int) {
	for {
		h, err := batch.Peek(raw[n:])
		if err != nil || h.Next() > at {
			return n
		}
		n += h.Size
	}
}

// TestCompacted: compaction leaves holes, also at the end of a bounded span.
func TestCompacted(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, true)}
	cl := c.producer()
	first := &kgo.Record{Topic: p.Topic, Key: []byte("first"), Value: []byte("stays")}
	if err := cl.ProduceSync(t.Context(), first).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		write(t, cl, p, 7*n, 7*n+7)
	}
	spans := c.spans(p.Topic)
	c.fake.Compact()
	got := values(c.read(c.Broker, spans))
	if got[0] != `"stays"` || len(got) >= 36 {
		t.Fatalf("%v", got)
	}
	same(t, got[len(got)-7:], numbers(28, 35))
	for to := range spans[0].To + 1 {
		c.read(c.Broker, []topic.Span{{Partition: p, From: to / 2, To: to}})
	}
}

// TestEmptyTail: a node responds that nothing is left up to the stable offset, and the reader
// advances to it.
func TestEmptyTail(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	write(t, c.producer(), p, 0, 40)
	c.fake.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		in := req.(*kmsg.FetchRequest)
		resp := in.ResponseKind().(*kmsg.FetchResponse)
		ot := kmsg.NewFetchResponseTopic()
		ot.Topic, ot.TopicID = in.Topics[0].Topic, in.Topics[0].TopicID
		op := kmsg.NewFetchResponseTopicPartition()
		op.HighWatermark, op.LastStableOffset, op.RecordBatches = 40, 30, []byte{}
		ot.Partitions = append(ot.Partitions, op)
		resp.Topics = append(resp.Topics, ot)
		return resp, nil, true
	})
	if got := c.read(c.Broker, []topic.Span{{Partition: p, From: 3, To: 30}}); len(got) != 0 {
		t.Fatal(got)
	}
}

// TestEmptyRemote: an empty response about offsets in remote storage is not a hole; they did
// not arrive in time.
func TestEmptyRemote(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	write(t, c.producer(), p, 0, 30)
	empty := 0
	c.fake.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		if empty++; empty > 3 {
			return nil, nil, false
		}
		in := req.(*kmsg.FetchRequest)
		resp := in.ResponseKind().(*kmsg.FetchResponse)
		ot := kmsg.NewFetchResponseTopic()
		ot.Topic, ot.TopicID = in.Topics[0].Topic, in.Topics[0].TopicID
		op := kmsg.NewFetchResponseTopicPartition()
		op.HighWatermark, op.LastStableOffset, op.RecordBatches = 30, 30, []byte{}
		ot.Partitions = append(ot.Partitions, op)
		resp.Topics = append(resp.Topics, ot)
		return resp, nil, true
	})
	c.fake.ControlKey(2, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		in := req.(*kmsg.ListOffsetsRequest)
		if in.Topics[0].Partitions[0].Timestamp != earliestLocal {
			return nil, nil, false
		}
		resp := in.ResponseKind().(*kmsg.ListOffsetsResponse)
		ot := kmsg.NewListOffsetsResponseTopic()
		ot.Topic = p.Topic
		op := kmsg.NewListOffsetsResponseTopicPartition()
		op.Offset = 20
		ot.Partitions = append(ot.Partitions, op)
		resp.Topics = append(resp.Topics, ot)
		return resp, nil, true
	})
	same(t, values(c.read(c.Broker, []topic.Span{whole(p, 30)})), numbers(0, 30))
}

func TestCloseWakes(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(4, false)}
	for _, end := range []func(topic.Reader) error{func(r topic.Reader) error { return r.Close() }, func(topic.Reader) error { return c.Broker.Close() }} {
		r, err := c.Open(t.Context(), []topic.Span{whole(p, topic.End)})
		if err != nil {
			t.Fatal(err)
		}
		polled := make(chan error)
		go func() { _, err := r.Poll(context.Background()); polled <- err }()
		time.Sleep(20 * time.Millisecond)
		if err := end(r); err != nil {
			t.Fatal(err)
		}
		if err := <-polled; err == nil || errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	if err := c.Broker.Close(); err != nil { // a second time
		t.Fatal(err)
	}
	c.fake.Close()
	goleak.VerifyNone(t, before)
}

func TestDecidedWhileAway(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer(kgo.TransactionalID(p.Topic))
	r, f := openLive(c, p, 0)
	var want []string
	for n := range 10 {
		how := kgo.TransactionEndTry(n%3 != 0)
		transaction(t, cl, p, 5*n, 5*n+5, how)
		if how {
			want = append(want, numbers(5*n, 5*n+5)...)
		}
		c.fake.ShufflePartitionLeaders()
		if err := pollUntil(t, r, f, len(want)); err != nil {
			t.Fatal(err)
		}
	}
	same(t, values(f.rows), want)
}
