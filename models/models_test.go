package models_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/kafka"
	"github.com/streamql/streamql/udf/ml"
)

// TestTwoWriters trains one model in two processes at once, with overlapping transactions, some
// of them aborted. Each version gets a number, no version gets two, and both processes compute
// the same numbers. It runs on the embedded broker and on Kafka.
func TestTwoWriters(t *testing.T) {
	for name, open := range map[string]func(*testing.T) [2]models.Broker{"embedded": func(t *testing.T) [2]models.Broker {
		b := embedded(t)
		return [2]models.Broker{b, b}
	}, "kafka": onKafka} {
		t.Run(name, func(t *testing.T) {
			brokers := open(t)
			a, b := following(t, brokers[0], "a"), following(t, brokers[1], "b")
			ids := [2][]string{}
			var group sync.WaitGroup
			for i, r := range []*models.Registry{a, b} {
				group.Go(func() { ids[i] = trainings(t, brokers[i], r, fmt.Sprint("writer", i)) })
			}
			group.Wait()
			first := seen(t, a)
			if second := seen(t, b); first != second {
				t.Fatalf("one process has\n%s\nthe other\n%s", first, second)
			}
			if n := len(a.Versions("m")); n != len(ids[0])+len(ids[1]) {
				t.Errorf("%d versions of %d:\n%s", n, len(ids[0])+len(ids[1]), first)
			}
			for _, id := range append(ids[0], ids[1]...) {
				n, ok := a.Number("m", id)
				if !ok || a.Versions("m")[n-1].ID != id {
					t.Errorf("version %s has number %d, %v", id, n, ok)
				}
			}
		})
	}
}

// trainings publishes 12 versions, two in every third transaction, and aborts every fourth
// transaction.
func trainings(t *testing.T, b models.Broker, r *models.Registry, writer string) (ids []string) {
	j := r.ForJob()
	for i := range 12 {
		out := begin(t, b, writer)
		var made []string
		for range 1 + i%3/2 {
			id, err := j.Publish("m", version(t, float64(i), nil), out)
			must(t, err)
			made = append(made, id)
		}
		if i%4 == 3 {
			must(t, out.Abort(context.Background()))
			j.Aborted()
			continue
		}
		out.commit(t, j)
		ids = append(ids, made...)
	}
	return ids
}

// onKafka returns the brokers of two processes on one cluster.
func onKafka(t *testing.T) (out [2]models.Broker) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(fake.Close)
	for i := range out {
		b, err := kafka.Open(
			t.Context(),
			kafka.Config{Brokers: fake.ListenAddrs(), Name: "test", Instance: fmt.Sprint(i)},
		)
		must(t, err)
		t.Cleanup(func() { must(t, b.Close()) })
		out[i] = b
	}
	return out
}

// TestLaterProcess: a registry that reads a topic from its beginning computes the same numbers
// as one that followed it from the start.
func TestLaterProcess(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	j := r.ForJob()
	for i := range 3 {
		publish(t, b, j, "job", float64(i), nil)
	}
	seen(t, r)
	write(t, b, r.Tombstones(r.Versions("m")[1])...)
	const want = "1 a1 READY after 0\n2 a2 DROPPED after 1\n3 a3 READY after 2"
	for _, each := range []*models.Registry{r, following(t, b, "b")} {
		if got := seen(t, each); got != want {
			t.Errorf("the versions are\n%s\nwant\n%s", got, want)
		}
	}
}

// TestOldTopics: in topics of early versions of the program, the number was the id.
func TestOldTopics(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	for n := 1; n <= 2; n++ {
		v := version(t, float64(n), nil)
		v.Manifest.ID = ml.NumberID(n)
		records, _, err := ml.Encode(v.Bundle, v.Manifest)
		must(t, err)
		last := &records[len(records)-1]
		last.Value = []byte(
			strings.Replace(
				string(last.Value),
				`"id":"0000000`+fmt.Sprint(n)+`"`,
				fmt.Sprintf(`"parent":%d,"version":%d`, n-1, n),
				1,
			),
		)
		write(t, b, records...)
	}
	seen(t, r)
	publish(t, b, r.ForJob(), "job", 3, nil)
	if got, want := seen(t, r), "1 00000001 READY after 0\n2 00000002 READY after 1\n3 a1 READY after 2"; got != want {
		t.Errorf("the versions are\n%s\nwant\n%s", got, want)
	}
}

func TestServing(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	if v, n, err := r.Get("m", 0); v != nil || n != 0 || err != nil {
		t.Errorf("a model without versions gives %v %d %v", v, n, err)
	}
	if _, _, err := r.Get("other", 0); code(err) != "SQ6001" {
		t.Errorf("a model that is not followed gives %v", err)
	}
	j := r.ForJob()
	for i := 1; i <= 3; i++ {
		publish(t, b, j, "job", float64(i), nil)
	}
	write(
		t,
		b,
		topic.Record{Key: []byte("v/bad/0000"), Value: []byte("nonsense")},
		topic.Record{
			Key:   []byte("v/bad/manifest"),
			Value: []byte(`{"format":1,"type":"mean","payload":{"codec":"zstd","bytes":8,"chunks":1,"sha256":"00"}}`),
		},
	)
	seen(t, r)
	write(t, b, r.Tombstones(r.Versions("m")[2])...)
	if got, want := seen(t, r), "1 a1 READY after 0\n2 a2 READY after 1\n3 a3 DROPPED after 2\n4 bad CORRUPT after 0"; got != want {
		t.Errorf("the versions are\n%s\nwant\n%s", got, want)
	}
	bundle, n, err := r.Get("m", 0)
	if err != nil || n != 2 || mean(t, bundle) != 2 {
		t.Errorf("version %d serves: %v", n, err)
	}
	if bundle, _, err := r.Get("m", 1); err != nil || mean(t, bundle) != 1 {
		t.Errorf("m$1: %v", err)
	}
	for n, want := range map[int]string{3: "SQ6003", 5: "SQ6003"} {
		if _, _, err := r.Get("m", n); code(err) != want {
			t.Errorf("m$%d gives %v, want %s", n, err, want)
		}
		if err := r.Ready(t.Context(), "m", n); code(err) != want {
			t.Errorf("to wait for m$%d gives %v, want %s", n, err, want)
		}
	}
	if _, _, err := r.Get("m", 4); !errors.Is(err, ml.ErrHash) || r.Versions("m")[3].Err == nil {
		t.Errorf("m$4 gives %v", err)
	}
	if n, ok := r.Number("m", "a4"); ok || n != 0 {
		t.Errorf("an unknown id has number %d", n)
	}
}

// TestWaiting: waiting for a model's first version ends when there is one, when the caller
// cancels, and when the model is dropped.
func TestWaiting(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	seen(t, r)
	if err := r.Waits("m", 0); !errors.Is(err, models.ErrNoVersion) || !strings.Contains(err.Error(), `"m"`) {
		t.Errorf("it waits for %v", err)
	}
	j := r.ForJob()
	if _, _, err := j.Version("m", 0, nil, true); !errors.Is(err, models.ErrNoVersion) {
		t.Errorf("a job that cannot do without a version gets %v", err)
	}
	if v, n, err := j.Version("m", 0, nil, false); v != nil || n != 0 || err != nil {
		t.Errorf("a job that can do without a version gets %v %d %v", v, n, err)
	}
	waits := func(ctx context.Context) <-chan error {
		out := make(chan error, 1)
		go func() { out <- r.Ready(ctx, "m", 0) }()
		return out
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, left := waits(t.Context()), waits(ctx)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who no longer waits gets %v", err)
	}
	publish(t, b, j, "job", 1, nil)
	must(t, <-ready)
	if err := r.Waits("m", 0); err != nil {
		t.Errorf("it waits for %v", err)
	}
	write(t, b, r.Tombstones(r.Versions("m")[0])...)
	seen(t, r)
	gone := waits(t.Context())
	r.Forget("m")
	if err := <-gone; code(err) != "SQ6001" {
		t.Errorf("who waits for a model that is dropped gets %v", err)
	}
	if err := r.Sync(t.Context(), "m"); code(err) != "SQ6001" {
		t.Errorf("to read a model that is not followed gives %v", err)
	}
}

// TestMadeAgain: a recreated topic starts at number 1.
func TestMadeAgain(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	j := r.ForJob()
	publish(t, b, j, "job", 1, nil)
	publish(t, b, j, "job", 2, nil)
	seen(t, r)
	must(t, r.Delete(t.Context(), "m"))
	must(t, r.Delete(t.Context(), "m"))
	must(t, r.Create(t.Context(), "m"))
	publish(t, b, r.ForJob(), "job", 3, nil)
	if got, want := seen(t, r), "1 a3 READY after 0"; got != want {
		t.Errorf("the versions are\n%s\nwant\n%s", got, want)
	}
	if n, ok := r.Number("m", "a1"); ok {
		t.Errorf("a version of the topic before has number %d", n)
	}
}

// TestKeepVersions: the newest versions are kept even if the registry has not read the last
// ones yet.
func TestKeepVersions(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	j := r.ForJob()
	out := begin(t, b, "job")
	for i := range 5 {
		_, err := j.Publish("m", version(t, float64(i), map[string]any{"keep_versions": int64(2)}), out)
		must(t, err)
		if i%2 == 1 {
			out.commit(t, j)
			out = begin(t, b, "job")
		}
	}
	out.commit(t, j)
	if got, want := seen(t, r), "1 a1 DROPPED after 0\n2 a2 DROPPED after 1\n3 a3 DROPPED after 2\n4 a4 READY after 3\n5 a5 READY after 4"; got != want {
		t.Errorf("the versions are\n%s\nwant\n%s", got, want)
	}
}

// TestOwnVersions: a training that continues from the newest version finds its own, before and
// after the commit, but not aborted ones.
func TestOwnVersions(t *testing.T) {
	b := embedded(t)
	r := following(t, b, "a")
	j := r.ForJob()
	last := func() float64 {
		v, _, err := j.Version("m", 0, nil, false)
		must(t, err)
		if v == nil {
			return 0
		}
		return mean(t, v.(*ml.Bundle))
	}
	publish(t, b, j, "job", 1, nil)
	if got := last(); got != 1 {
		t.Errorf("after the commit the newest says %v", got)
	}
	out := begin(t, b, "job")
	_, err := j.Publish("m", version(t, 2, nil), out)
	must(t, err)
	if got := last(); got != 2 {
		t.Errorf("before the commit the newest says %v", got)
	}
	if _, _, err := j.Version("m", 2, nil, true); code(err) != "SQ6003" && err == nil {
		t.Error("others see what is not committed")
	}
	must(t, out.Abort(t.Context()))
	j.Aborted()
	if got := last(); got != 1 {
		t.Errorf("after the abort the newest says %v", got)
	}
	seen(t, r)
	if got := last(); got != 1 {
		t.Errorf("when it is read back the newest says %v", got)
	}
}

// TestFollowBeforeTopic: a topic that is created after its follower is found, and Close ends
// all goroutines (TestMain checks that).
func TestFollowBeforeTopic(t *testing.T) {
	b := embedded(t)
	r := registry(t, b, "a", func(err error) { t.Errorf("warning: %v", err) })
	r.Follow("m")
	r.Follow("m")
	must(t, r.Sync(t.Context(), "m"))
	must(t, r.Create(t.Context(), "m"))
	must(t, r.Create(t.Context(), "m"))
	publish(t, b, r.ForJob(), "job", 1, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, r.Ready(ctx, "m", 0))
	waiting := make(chan error, 1)
	r.Follow("never")
	go func() { waiting <- r.Ready(context.Background(), "never", 0) }()
	r.Close()
	if err := <-waiting; err == nil {
		t.Error("who waits when the registry closes gets no error")
	}
	r.Follow("late")
	if _, _, err := r.Get("late", 0); code(err) != "SQ6001" {
		t.Errorf("a closed registry follows: %v", err)
	}
}
