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
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

// pollUntil polls until the rows have come or an error.
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

// Every answer of these kinds, and a broken connection, is waited out.
func TestPassingErrors(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer()
	r, f := openLive(c, p, 0)
	codes := []*kerr.Error{kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.UnknownTopicID, kerr.OffsetOutOfRange,
		kerr.KafkaStorageError, kerr.UnknownServerError, kerr.CorruptMessage, nil}
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

func TestTopicDeleted(t *testing.T) {
	c := newCluster(t, nil)
	for _, again := range []bool{false, true} {
		p := topic.Partition{Topic: c.topic(1, false)}
		write(t, c.producer(), p, 0, 10)
		before, err := c.Describe(t.Context(), p.Topic)
		if err != nil {
			t.Fatal(err)
		}
		r, f := openLive(c, p, 0)
		if err := pollUntil(t, r, f, 10); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), p.Topic); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Describe(t.Context(), p.Topic); !errors.Is(err, topic.ErrUnknownTopic) {
			t.Fatal(err)
		}
		if again {
			if err := c.Create(t.Context(), p.Topic, topic.Config{Partitions: 1, RetentionMs: -1}); err != nil {
				t.Fatal(err)
			}
			write(t, c.producer(), p, 100, 120)
			if after, err := c.Describe(t.Context(), p.Topic); err != nil || after.ID == before.ID || after.ID == "" {
				t.Fatalf("id %q was %q, %v", after.ID, before.ID, err)
			}
		}
		if err := pollUntil(t, r, f, 11); !errors.Is(err, topic.ErrTopicReplaced) || !strings.Contains(err.Error(), p.Topic) {
			t.Fatal(err)
		}
	}
}

func (c *cluster) deleteRecords(p topic.Partition, to topic.Offset) {
	c.t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: p.Topic, Partition: p.ID, At: int64(to)})
	got, err := kadm.NewClient(c.cl).DeleteRecords(c.t.Context(), os)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestGap(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	cl := c.producer()
	for n := range 5 {
		write(t, cl, p, 10*n, 10*n+10)
	}
	c.deleteRecords(p, 25)
	if s := c.spans(p.Topic); s[0].From != 25 || s[0].To != 50 {
		t.Fatalf("%v", s)
	}
	same(t, values(c.read(c.Broker, c.spans(p.Topic))), numbers(25, 50))
	for _, s := range []topic.Span{{Partition: p, From: 3, To: 50}, {Partition: p, From: 3, To: 10}} {
		r, err := c.Open(t.Context(), []topic.Span{s})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 2 { // the error comes again
			_, err = r.Poll(t.Context())
			var gap topic.ErrGap
			if want := (topic.Span{Partition: p, From: 3, To: min(25, s.To)}); !errors.As(err, &gap) || gap.Span != want {
				t.Fatalf("%v, want %v", err, want)
			}
		}
	}
}

// An offset behind the end is never followed back.
func TestBehindTheEnd(t *testing.T) {
	c := newCluster(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
	write(t, c.producer(), p, 0, 10)
	r, f := openLive(c, p, 15)
	if err := pollUntil(t, r, f, 1); !errors.Is(err, topic.ErrTopicReplaced) || !strings.Contains(err.Error(), "10") {
		t.Fatal(err)
	}
}

// A batch that was hurt on the way is asked for again; one that stays broken is an error with its place.
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
		if times > 1 && (!errors.Is(err, batch.ErrCorrupt) || !strings.Contains(err.Error(), p.String()) || !strings.Contains(err.Error(), "offset 10")) {
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
	ln := &lane{f: c.Broker.fetch, node: l.partitions[0].leader, cl: c.cl}
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

// Compaction leaves holes, also at the end of what a bounded span covers.
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

// A node says that nothing is left up to the stable end: the reader goes there.
func TestEmptyTail(t *testing.T) {
	c := needFake(t, nil)
	p := topic.Partition{Topic: c.topic(1, false)}
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
	if err := c.Broker.Close(); err != nil { // again
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
