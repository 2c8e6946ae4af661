package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
)

// filled returns a database with the state of two tasks as of some commits.
func filled(t *testing.T, dir string, keys, commits int) *DB {
	t.Helper()
	db, err := OpenDB(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, task := range []string{"job.0.1", "job.0.10"} {
		for n := range commits {
			commit(t, db, task, n, keys)
		}
	}
	return db
}

// commit changes every third key and deletes some.
func commit(t *testing.T, db *DB, task string, n, keys int) {
	t.Helper()
	s, err := Open(db.DB, task, Unsynced())
	if err != nil {
		t.Fatal(err)
	}
	ks := s.Keyspace("k")
	for i := n % 3; i < keys; i += 3 {
		key := fmt.Appendf(nil, "key-%06d", i)
		if (i+n)%7 == 0 {
			err = ks.Delete(key)
		} else {
			err = ks.Put(key, fmt.Appendf(nil, "%s %d %d %x", task, i, n, sha256.Sum256(key)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Pending(map[topic.Partition]topic.Offset{{Topic: "in"}: topic.Offset(10 * n)})
	if err := s.CommitLog(Log{Cluster: "c", Topic: "t", Next: topic.Offset(5 * (n + 1)), Wall: 7}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, db *DB, task string) map[string]string {
	t.Helper()
	s, err := Open(db.DB, task)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := map[string]string{
		"seq":      fmt.Sprint(s.Seq()),
		"log":      fmt.Sprint(s.Log()),
		"position": fmt.Sprint(s.Position()),
	}
	for e, err := range s.Keyspace("k").Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		out["k "+string(e.Key)] = string(e.Val)
	}
	return out
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for k, v := range want {
		if got[k] != v {
			t.Fatalf("%s is %q, want %q", k, got[k], v)
		}
	}
}

func all(Log) bool { return true }

// TestSnapshot: a saved state is loaded into an empty database or over existing state, and the
// state of other tasks does not change. A second snapshot sends only changed tables.
func TestSnapshot(t *testing.T) {
	ctx := context.Background()
	objects, err := Directory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &Snapshots{Objects: objects, Prefix: "snapshots/v1/c", Now: time.Now}
	db := filled(t, t.TempDir(), 200_000, 3)
	first, err := s.Save(ctx, db, "job.0.1")
	if err != nil || first < 4<<20 {
		t.Fatal(first, err)
	}
	want := contents(t, db, "job.0.1")
	for _, other := range []*DB{filled(t, "", 0, 0), filled(t, t.TempDir(), 500, 5)} {
		neighbour := contents(t, other, "job.0.10")
		if ok, err := s.Load(ctx, other, "job.0.1", all); !ok || err != nil {
			t.Fatal(ok, err)
		}
		same(t, contents(t, other, "job.0.1"), want)
		same(t, contents(t, other, "job.0.10"), neighbour)
		commit(t, other, "job.0.1", 9, 50) // and it continues
	}
	if ok, err := s.Load(ctx, filled(t, "", 0, 0), "job.0.1", func(l Log) bool { return l.Next > 15 }); ok ||
		err != nil {
		t.Error("a snapshot that is not usable was taken", err)
	}
	commit(t, db, "job.0.1", 3, 30)
	second, err := s.Save(ctx, db, "job.0.1")
	if err != nil || second == 0 || second > first/2 {
		t.Errorf("%d bytes were sent for 10 changed keys of %d, %v", second, first, err)
	}
	if again, err := s.Save(ctx, db, "job.0.1"); err != nil || again != 0 {
		t.Errorf("%d bytes were sent though nothing has changed, %v", again, err)
	}
}

// TestDamagedSnapshot: however a stored snapshot is damaged, the older one is loaded, or none;
// wrong rows are never loaded.
func TestDamagedSnapshot(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	objects, err := Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Snapshots{Objects: objects, Prefix: "p", Now: time.Now}
	db := filled(t, "", 300, 1)
	if _, err := s.Save(ctx, db, "job.0.1"); err != nil {
		t.Fatal(err)
	}
	old := contents(t, db, "job.0.1")
	commit(t, db, "job.0.1", 1, 300)
	if _, err := s.Save(ctx, db, "job.0.1"); err != nil {
		t.Fatal(err)
	}
	list, err := objects.List(ctx, "p/")
	if err != nil || len(list) != 8 {
		t.Fatal(list, err)
	}
	newest := []string{list[1].Name} // the second manifest, and the table that the first one does not have
	m, err := s.manifest(ctx, list[1].Name)
	if err != nil {
		t.Fatal(err)
	}
	newest = append(newest, s.dir("job.0.1")+"/sst/"+m.Tables[1].SHA256)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		name := filepath.Join(dir, filepath.FromSlash(newest[i%2]))
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		broken := bytes.Clone(whole)
		switch at := rng.IntN(len(broken)); i / 2 % 3 {
		case 0:
			if i%2 == 0 { // a changed digit in a manifest may be another valid time; a brace is not
				at = 0
			}
			broken[at] ^= 1 << rng.IntN(8)
		case 1:
			broken = broken[:at]
		case 2:
			broken = nil
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if broken != nil {
			if err := os.WriteFile(name, broken, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		other := filled(t, "", 0, 0)
		if ok, err := s.Load(ctx, other, "job.0.1", all); !ok || err != nil {
			t.Fatalf("case %d: %v, %v", i, ok, err)
		}
		same(t, contents(t, other, "job.0.1"), old)
		if err := os.WriteFile(name, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSweep: old snapshots and the tables that only they need are deleted; young tables remain,
// because they may belong to a snapshot in progress.
func TestSweep(t *testing.T) {
	ctx := context.Background()
	objects, err := Directory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s := &Snapshots{Objects: objects, Prefix: "p", Now: func() time.Time { return now }}
	db := filled(t, "", 0, 0)
	for n := range 5 {
		commit(t, db, "a", n, 100)
		if _, err := s.Save(ctx, db, "a"); err != nil {
			t.Fatal(err)
		}
	}
	count := func(kind string) int {
		list, err := objects.List(ctx, s.dir("a")+"/"+kind)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if m, sst := count("m/"), count("sst/"); m != 2 || sst != 15 {
		t.Errorf("%d manifests and %d tables are left", m, sst)
	}
	now = now.Add(25 * time.Hour)
	if _, err := s.Save(ctx, db, "a"); err != nil {
		t.Fatal(err)
	}
	if sst := count("sst/"); sst != 6 {
		t.Errorf("%d tables are left", sst)
	}
}

func TestDirectory(t *testing.T) {
	ctx := context.Background()
	d, err := Directory(filepath.Join(t.TempDir(), "new"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := d.List(ctx, "a/b/"); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	if err := d.Create(ctx, "a/b/1", bytes.NewReader([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := d.Create(ctx, "a/b/1", bytes.NewReader([]byte("y"))); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if err := d.Create(ctx, "../out", bytes.NewReader(nil)); err == nil {
		t.Fatal("a name outside the directory")
	}
	r, err := d.Get(ctx, "a/b/1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, _ := io.ReadAll(r); string(text) != "x" {
		t.Fatalf("%q", text)
	}
	if err := d.Delete(ctx, "a/b/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(ctx, "a/b/1"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// unreadable fails to read manifests.
type unreadable struct{ Objects }

func (u unreadable) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if !strings.Contains(name, "/sst/") {
		return nil, errors.New("the store does not respond")
	}
	return u.Objects.Get(ctx, name)
}

// TestSnapshotUnreadableManifest: old tables of a manifest that cannot be read at the moment are not
// deleted.
func TestSnapshotUnreadableManifest(t *testing.T) {
	ctx := context.Background()
	objects, err := Directory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(2 * orphanAge) }
	db := filled(t, t.TempDir(), 100, 1)
	s := &Snapshots{Objects: objects, Prefix: "p", Now: later}
	if _, err := s.Save(ctx, db, "job.0.1"); err != nil {
		t.Fatal(err)
	}
	commit(t, db, "job.0.1", 1, 100)
	failing := &Snapshots{Objects: unreadable{objects}, Prefix: "p", Now: later}
	if _, err := failing.Save(ctx, db, "job.0.1"); err != nil {
		t.Fatal(err)
	}
	empty, err := OpenDB(t.TempDir(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if ok, err := s.Load(ctx, empty, "job.0.1", all); !ok || err != nil {
		t.Errorf("the snapshot cannot be loaded: %v, %v", ok, err)
	}
}
