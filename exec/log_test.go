package exec

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
)

// placed is a transaction whose end in the changelog is set by the test.
type placed struct {
	topic.Txn
	ends map[topic.Partition]topic.Offset
}

func (placed) Write(topic.Partition, ...topic.Record) error                   { return nil }
func (placed) Commit(context.Context, map[topic.Partition]topic.Offset) error { return nil }
func (p placed) Ends() map[topic.Partition]topic.Offset                       { return p.ends }

// TestStoreKnowsItsChangelog: a store that has never been restored records the identity of its
// changelog at its first commit. Otherwise the first restart would discard it and replay
// everything.
func TestStoreKnowsItsChangelog(t *testing.T) {
	db, err := pebble.Open("state", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := state.Open(db, "job.0.0", state.Unsynced())
	if err != nil {
		t.Fatal(err)
	}
	u := &slot{
		name:      "job.0.0",
		changelog: topic.Partition{Topic: "log"},
		topicID:   "id",
		task:      &Task{ctx: &Context{State: store}},
	}
	l := &Log{Cluster: "cluster", Kept: func(string) bool { return true }}
	if err := store.Keyspace("k").Put([]byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	store.Pending(nil)
	txn := placed{ends: map[topic.Partition]topic.Offset{u.changelog: 2}}
	if err := l.seal(u, txn, 7, map[topic.Partition]topic.Offset{}); err != nil {
		t.Fatal(err)
	}
	if err := l.applied(u, txn, 7); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := state.NewReplay(db, "job.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if want := (state.Log{Cluster: "cluster", Topic: "id", Next: 2, Wall: 7}); r.Log() != want {
		t.Errorf("the store stands at %+v, want %+v", r.Log(), want)
	}
}
