package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func TestTxnCommitAndAbort(t *testing.T) {
	s := newSite(t)
	b, _ := s.open("a")
	name := s.topic(b, "out", 2)
	p0, p1 := topic.Partition{Topic: name}, topic.Partition{Topic: name, ID: 1}

	gone := begin(t, b, "x")
	must(t, gone.Write(p0, lines("never", "seen")...))
	must(t, gone.Abort(t.Context()))

	txn := begin(t, b, "x")
	must(
		t,
		txn.Write(
			p0,
			topic.Record{Value: []byte("no key"), Time: 12345},
			topic.Record{Key: []byte{}, Headers: []topic.Header{{Key: "h", Value: []byte("1")}, {Key: "h"}}},
		),
	)
	value := []byte("mine")
	must(t, txn.Write(p1, topic.Record{Key: []byte("k"), Value: value}))
	copy(value, "reused") // the memory belongs to the caller again
	if got := s.committed(name); len(got) != 0 {
		t.Fatalf("seen before the commit: %v", got)
	}
	must(t, txn.Commit(t.Context(), nil))
	if err := txn.Commit(t.Context(), nil); err == nil {
		t.Fatal("a transaction commits twice")
	}
	got := s.committed(name)
	slices.SortFunc(got, func(a, b *kgo.Record) int { return int(a.Partition - b.Partition) })
	if len(got) != 3 || got[0].Key != nil || string(got[0].Value) != "no key" || got[0].Timestamp.UnixMilli() != 12345 ||
		got[1].Key == nil || got[1].Value != nil || len(got[1].Headers) != 2 ||
		string(got[1].Headers[0].Value) != "1" ||
		got[1].Headers[1].Value != nil ||
		string(got[2].Value) != "mine" {
		t.Fatalf("got %v", got)
	}
	ends := map[topic.Partition]topic.Offset{p0: topic.Offset(got[1].Offset) + 1, p1: topic.Offset(got[2].Offset) + 1}
	if have := txn.(topic.Placer).Ends(); !maps.Equal(have, ends) {
		t.Fatalf("ends %v, want %v", have, ends)
	}
}

func TestTxnEmptyAndWithPositions(t *testing.T) {
	s := newSite(t)
	b, _ := s.open("a")
	must(t, begin(t, b, "x").Commit(t.Context(), nil))
	txn := begin(t, b, "x")
	err := txn.Commit(t.Context(), map[topic.Partition]topic.Offset{{Topic: "in"}: 3})
	if err == nil || errors.Is(err, topic.ErrLost) || !strings.Contains(err.Error(), "member of a group") {
		t.Fatal(err)
	}
	if err := begin(t, b, "x").Write(topic.Partition{Topic: s.name + "-nowhere"}, lines("a")...); !errors.Is(
		err,
		topic.ErrUnknownTopic,
	) {
		t.Fatal(err)
	}
}

// TestTxnFencing: of two transactions with one id, the newer commits, whatever the order of
// their later calls.
func TestTxnFencing(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprint("written first ", early), func(t *testing.T) {
			s := newSite(t)
			a, _ := s.open("a")
			b, _ := s.open("b")
			name := s.topic(a, "out", 1)
			p := topic.Partition{Topic: name}
			old := begin(t, a, "x")
			if early {
				must(t, old.Write(p, lines("old")...))
				_, err := old.(*txn).flush(t.Context())
				must(t, err)
			}
			young := begin(t, b, "x")
			if !early {
				must(t, old.Write(p, lines("old")...))
			}
			must(t, young.Write(p, lines("young")...))
			if err := old.Commit(t.Context(), nil); !errors.Is(err, topic.ErrFenced) ||
				errors.Is(err, topic.ErrLost) {
				t.Fatalf("the older one: %v", err)
			}
			must(t, young.Commit(t.Context(), nil))
			if got := s.values(name); !slices.Equal(got, []string{"young"}) {
				t.Fatalf("got %q", got)
			}
			if err := old.Write(p, lines("late")...); err == nil {
				t.Fatal("a fenced transaction takes records")
			}
		})
	}
}

// TestTxnIsALock: the catalog's lock is begin, read to the end, write, commit. Each success has
// read its predecessor.
func TestTxnIsALock(t *testing.T) {
	s := newSite(t)
	var brokers []*Broker
	for i := range 3 {
		b, _ := s.open(fmt.Sprint(i))
		brokers = append(brokers, b)
	}
	name := s.topic(brokers[0], "catalog", 1)
	var mu sync.Mutex
	wins, fences := 0, 0
	var wg sync.WaitGroup
	for _, b := range brokers {
		wg.Go(func() {
			for won := 0; won < 4; {
				err := increment(t.Context(), b, name)
				mu.Lock()
				switch {
				case err == nil:
					won++
					wins++
				case errors.Is(err, topic.ErrFenced):
					fences++
				default:
					t.Error(err)
					won = 4
				}
				mu.Unlock()
				time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	got := s.values(name)
	for i, v := range got {
		if v != strconv.Itoa(i) {
			t.Fatalf("got %q", got)
		}
	}
	if len(got) != wins {
		t.Fatalf("%d committed, %d reported", len(got), wins)
	}
	t.Log("fenced:", fences)
}

// increment writes the number of existing records plus one.
func increment(ctx context.Context, b *Broker, name string) error {
	txn, err := b.Begin(ctx, "catalog")
	if err != nil {
		return err
	}
	there, err := readAll(ctx, b, name)
	if err == nil {
		err = txn.Write(topic.Partition{Topic: name}, lines(strconv.Itoa(len(there)))...)
	}
	if err != nil {
		return errors.Join(err, txn.Abort(ctx))
	}
	return txn.Commit(ctx, nil)
}

// TestTxnTooLarge: records that are too large are skipped; all others are accepted, alone and
// together.
func TestTxnTooLarge(t *testing.T) {
	s := newSite(t)
	b, _ := s.open("a")
	for _, most := range []int{10_000, 2_000_000} {
		name := s.topic(b, fmt.Sprint("small", most), 1, "max.message.bytes", strconv.Itoa(most))
		p := topic.Partition{Topic: name}
		noise := make([]byte, most+1) // incompressible
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		fits := most
		for batchSize(&topic.Record{Key: []byte("k"), Value: noise[:fits]}) > most {
			fits--
		}
		txn := begin(t, b, "x")
		err := txn.Write(
			p,
			topic.Record{Value: noise},
			topic.Record{Key: []byte("k"), Value: noise[:fits]},
			topic.Record{Key: []byte("k"), Value: noise[:fits+1]},
		)
		if !errors.Is(err, topic.ErrTooLarge) {
			t.Fatal(err)
		}
		for range 50 {
			must(t, txn.Write(p, topic.Record{Value: noise[:most/10]}))
		}
		must(t, txn.Commit(t.Context(), nil))
		if got := s.committed(name); len(got) != 51 || len(got[0].Value) != fits {
			t.Fatalf("%d records", len(got))
		}
	}
}

// TestTxnEndLost: if the request or the response of EndTxn is lost, Commit reports no success,
// and the next Begin finds the transaction committed or aborted.
func TestTxnEndLost(t *testing.T) {
	for _, reply := range []bool{false, true} {
		t.Run(fmt.Sprint("reply ", reply), func(t *testing.T) {
			s := newFakeSite(t)
			b, line := s.open("a")
			name := s.topic(b, "out", 1)
			txn := begin(t, b, "x")
			must(t, txn.Write(topic.Partition{Topic: name}, lines("v")...))
			loseEnd(s, line, reply)
			if err := txn.Commit(t.Context(), nil); !errors.Is(err, topic.ErrLost) ||
				errors.Is(err, topic.ErrFenced) {
				t.Fatal(err)
			}
			line.mend()
			must(t, begin(t, b, "x").Commit(t.Context(), nil))
			want := []string{}
			if reply {
				want = []string{"v"}
			}
			if got := s.values(name); !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		})
	}
}

// loseEnd loses the next EndTxn request, or its response.
func loseEnd(s *site, line *cord, reply bool) {
	s.fake.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		s.fake.DropControl()
		if reply {
			line.deafen()
			return nil, nil, false
		}
		return nil, io.ErrUnexpectedEOF, true
	})
}

// TestTxnTooSlow: a transaction that exceeds its timeout fails in the client, before the
// coordinator aborts it.
func TestTxnTooSlow(t *testing.T) {
	s := newSite(t)
	b, _ := s.open("a", func(c *Config) { c.TransactionTimeout = time.Second })
	name := s.topic(b, "out", 1)
	txn := begin(t, b, "x")
	must(t, txn.Write(topic.Partition{Topic: name}, lines("v")...))
	time.Sleep(1100 * time.Millisecond)
	err := errors.Join(txn.Write(topic.Partition{Topic: name}, lines("w")...), txn.Commit(t.Context(), nil))
	if err == nil || !strings.Contains(err.Error(), "exceeded its timeout") {
		t.Fatal(err)
	}
	must(t, begin(t, b, "x").Commit(t.Context(), nil))
	if got := s.values(name); len(got) != 0 {
		t.Fatalf("got %q", got)
	}
}

// TestTxnOldCluster: a cluster before KIP-890.
func TestTxnOldCluster(t *testing.T) {
	s := newFakeSite(t, kfake.MaxVersions(kversion.V3_5_0()))
	b, _ := s.open("a")
	name := s.topic(b, "out", 1)
	for range 2 {
		txn := begin(t, b, "x")
		must(t, txn.Write(topic.Partition{Topic: name}, lines("v")...))
		must(t, txn.Commit(t.Context(), nil))
	}
	if got := s.values(name); len(got) != 2 {
		t.Fatalf("got %q", got)
	}
}

func begin(t testing.TB, b *Broker, id string) topic.Txn {
	t.Helper()
	txn, err := b.Begin(t.Context(), id)
	must(t, err)
	return txn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTxnFirstOfATopic: the first records of a topic that the client does not know yet are
// committed with the others: see settleKgo.
func TestTxnFirstOfATopic(t *testing.T) {
	s := newFakeSite(t)
	b, _ := s.open("a")
	c := newCrew(s, b)
	m := c.join(b)
	settle(t, m, 4)
	var names []string
	for i := range 200 {
		name := s.topic(b, fmt.Sprint("fresh", i), 1)
		names = append(names, name)
		must(t, commit(m, name, "v", c.at(topic.Offset(i))))
	}
	for _, name := range names {
		if got := s.values(name); !slices.Equal(got, []string{"v"}) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
