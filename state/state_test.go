package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/streamql/streamql/topic"
	"pgregory.net/rapid"
)

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func database(t interface{ Fatal(...any) }, fs vfs.FS) *pebble.DB {
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// model is the expected content of the store.
type model struct {
	now, committed map[string]map[string]string
	position       map[topic.Partition]topic.Offset
}

func clone(m map[string]map[string]string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for k, v := range m {
		out[k] = maps.Clone(v)
	}
	return out
}

// TestAgainstModel: any sequence of calls, commits, rollbacks and reopenings has the same
// results as on maps.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		memory := rapid.Bool().Draw(t, "memory")
		var db *pebble.DB
		var s Store
		open := func() {
			if memory {
				s = Memory()
				return
			}
			var err error
			if s, err = Open(db, "task\x00a", Budget(rapid.SampledFrom([]int64{1, 20_000, 1 << 30}).Draw(t, "budget"))); err != nil {
				t.Fatal(err)
			}
		}
		if !memory {
			db = database(t, vfs.NewMem())
			defer db.Close()
		}
		open()
		m := model{
			now:      map[string]map[string]string{"a": {}, "a\x00": {}},
			position: map[topic.Partition]topic.Offset{},
		}
		m.committed = clone(m.now)
		key := rapid.Custom(func(t *rapid.T) []byte {
			k := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 3).Draw(t, "short")
			if rapid.Bool().Draw(t, "long") {
				k = append([]byte("a common prefix "), k...)
			}
			return k
		})
		val := rapid.SliceOfN(rapid.Byte(), 0, 40)
		space := rapid.SampledFrom([]string{"a", "a\x00"})
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				name, k, v := space.Draw(t, "space"), key.Draw(t, "key"), val.Draw(t, "val")
				check(s.Keyspace(name).Put(k, v))
				m.now[name][string(k)] = string(v)
			},
			"get": func(t *rapid.T) {
				name, k := space.Draw(t, "space"), key.Draw(t, "key")
				got, ok, err := s.Keyspace(name).Get(k)
				check(err)
				want, has := m.now[name][string(k)]
				if ok != has || string(got) != want {
					t.Fatalf("get %q: %q %v, want %q %v", k, got, ok, want, has)
				}
			},
			"delete": func(t *rapid.T) {
				name, k := space.Draw(t, "space"), key.Draw(t, "key")
				check(s.Keyspace(name).Delete(k))
				delete(m.now[name], string(k))
			},
			"update": func(t *rapid.T) {
				name, k := space.Draw(t, "space"), key.Draw(t, "key")
				size := 16
				old, has := m.now[name][string(k)]
				row, fresh, err := s.Keyspace(name).Update(k, size)
				if has && len(old) != size {
					if err == nil {
						t.Fatalf("update of a row of %d bytes: no error", len(old))
					}
					return
				}
				check(err)
				if fresh == has || len(row) != size || has && string(row) != old ||
					!has && !bytes.Equal(row, make([]byte, size)) {
					t.Fatalf("update %q: %x fresh %v, want %x %v", k, row, fresh, old, !has)
				}
				row[3]++
				m.now[name][string(k)] = string(row)
			},
			"batch": func(t *rapid.T) {
				var keys topic.Bytes
				for _, k := range rapid.SliceOfN(rapid.Uint8Range(0, 50), 0, 300).Draw(t, "keys") {
					keys.Append([]byte{'b', k})
				}
				n := keys.Len()
				rows, fresh := make([][]byte, n), make([]bool, n)
				check(s.Keyspace("batch").UpdateBatch(&keys, 8, rows, fresh))
				if m.now["batch"] == nil {
					m.now["batch"] = map[string]string{}
				}
				for i := range n {
					k := string(keys.At(i))
					old, has := m.now["batch"][k]
					if !has {
						old = string(make([]byte, 8))
					}
					if fresh[i] == has || string(rows[i]) != old {
						t.Fatalf("batch %q: %x fresh %v, want %x %v", k, rows[i], fresh[i], old, !has)
					}
					binary.LittleEndian.PutUint64(rows[i], binary.LittleEndian.Uint64(rows[i])+1)
					m.now["batch"][k] = string(rows[i])
				}
			},
			"scan": func(t *rapid.T) {
				name, from := space.Draw(t, "space"), key.Draw(t, "from")
				var to []byte
				if rapid.Bool().Draw(t, "bounded") {
					to = key.Draw(t, "to")
				}
				remove := rapid.Bool().Draw(t, "remove")
				var want []string
				for _, k := range slices.Sorted(maps.Keys(m.now[name])) {
					if k >= string(from) && (to == nil || k < string(to)) {
						want = append(want, k+"="+m.now[name][k])
					}
				}
				var got []string
				for e, err := range s.Keyspace(name).Scan(from, to) {
					check(err)
					got = append(got, string(e.Key)+"="+string(e.Val))
					if remove {
						k := bytes.Clone(e.Key)
						check(s.Keyspace(name).Delete(e.Key))
						check(s.Keyspace(name).Put([]byte("\x00new"), []byte("x"))) // changes order
						check(s.Keyspace(name).Delete([]byte("\x00new")))
						delete(m.now[name], string(k))
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("scan [%q, %q): %q, want %q", from, to, got, want)
				}
			},
			"commit": func(t *rapid.T) {
				read := map[topic.Partition]topic.Offset{
					{Topic: "in", ID: int32(rapid.IntRange(0, 2).Draw(t, "id"))}: topic.Offset(
						rapid.IntRange(0, 1000).Draw(t, "at"),
					),
				}
				records := s.Pending(read)
				applied := !memory && rapid.Bool().Draw(t, "applied")
				if applied {
					b := db.NewBatch()
					for i, r := range records {
						if i > 0 && i < len(records)-1 && bytes.Compare(records[i-1].Key, r.Key) >= 0 {
							t.Fatal("the sealed records are not in order")
						}
						if r.Value == nil {
							b.Delete(r.Key, nil)
						} else {
							b.Set(r.Key, r.Value, nil)
						}
					}
					check(b.Commit(pebble.NoSync))
				}
				check(s.Commit(applied))
				maps.Copy(m.position, read)
				m.committed = clone(m.now)
			},
			"rollback": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "sealed") {
					s.Pending(nil)
				}
				check(s.Rollback())
				m.now = clone(m.committed)
			},
			"reopen": func(t *rapid.T) {
				if memory {
					return
				}
				check(s.Close())
				open()
				m.now = clone(m.committed)
			},
			"": func(t *rapid.T) {
				if !maps.Equal(s.Position(), m.position) {
					t.Fatalf("position %v, want %v", s.Position(), m.position)
				}
				if memory {
					return
				}
				v, err := s.View()
				check(err)
				for name, entries := range m.committed {
					got := map[string]string{}
					for e, err := range v.Scan(name, nil, nil) {
						check(err)
						got[string(e.Key)] = string(e.Val)
					}
					if !maps.Equal(got, entries) {
						t.Fatalf("view of %q: %q, want %q", name, got, entries)
					}
				}
				position, err := v.Position()
				check(err)
				if !maps.Equal(position, m.position) {
					t.Fatalf("the view's position is %v, want %v", position, m.position)
				}
				check(v.Close())
			},
		})
	})
}

func TestTasksDoNotMeet(t *testing.T) {
	db := database(t, vfs.NewMem())
	defer db.Close()
	names := []string{"a", "a\x00", "a\x01", "ab", ""}
	for _, n := range names {
		s := opened(t, db, n)
		put(t, s, "k", n)
		s.Pending(nil)
		if err := s.Commit(false); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if err := opened(t, db, "a").Drop(); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		v, ok, err := opened(t, db, n).Keyspace("x").Get([]byte("k"))
		if err != nil || ok != (n != "a") || ok && string(v) != n {
			t.Errorf("%q: %q %v %v", n, v, ok, err)
		}
	}
}

func opened(t testing.TB, db *pebble.DB, task string, opts ...Option) Store {
	t.Helper()
	s, err := Open(db, task, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s Store, k, v string) {
	t.Helper()
	if err := s.Keyspace("x").Put([]byte(k), []byte(v)); err != nil {
		t.Fatal(err)
	}
}

// TestCrash: after a crash the state and the position are those of the last commit.
func TestCrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	db := database(t, fs)
	s := opened(t, db, "t")
	for i := range 20 {
		put(t, s, fmt.Sprint(i), "x")
		s.Pending(map[topic.Partition]topic.Offset{{Topic: "in"}: topic.Offset(i + 1)})
		if err := s.Commit(false); err != nil {
			t.Fatal(err)
		}
		put(t, s, "uncommitted", "x")
		after := database(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		r := opened(t, after, "t")
		n := 0
		for e, err := range r.Keyspace("x").Scan(nil, nil) {
			if err != nil || string(e.Key) == "uncommitted" {
				t.Fatal(string(e.Key), err)
			}
			n++
		}
		if at := r.Position()[topic.Partition{Topic: "in"}]; n != i+1 || int(at) != n {
			t.Fatalf("after commit %d: %d keys, position %d", i+1, n, at)
		}
		after.Close()
		s.Rollback()
	}
	db.Close()
}

func TestEvictionKeepsTheBudget(t *testing.T) {
	db := database(t, vfs.NewMem())
	defer db.Close()
	const budget = 1 << 20
	s := opened(t, db, "t", Budget(budget))
	k := s.Keyspace("x")
	val := make([]byte, 100)
	for i := range 50_000 {
		if err := k.Put(fmt.Appendf(nil, "%06d", i), val); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			s.Pending(nil)
			if err := s.Commit(false); err != nil {
				t.Fatal(err)
			}
			if held := s.(*store).held; held > 2*budget {
				t.Fatalf("%d bytes held after commit", held)
			}
		}
	}
	for i := range 50_000 {
		if v, ok, err := k.Get(fmt.Appendf(nil, "%06d", i)); !ok || len(v) != 100 || err != nil {
			t.Fatal(i, ok, err)
		}
	}
	if held := s.(*store).held; held > 3*budget {
		t.Fatalf("%d bytes held after reading", held)
	}
}

// TestEvictionSharesTheBudget: the budget limits all keyspaces of a task together.
func TestEvictionSharesTheBudget(t *testing.T) {
	db := database(t, vfs.NewMem())
	defer db.Close()
	const budget = 4 << 20
	s := opened(t, db, "t", Budget(budget))
	val, most := make([]byte, 100), int64(0)
	for i := range 200_000 {
		k := s.Keyspace(string(rune('a' + i%4)))
		if err := k.Put(fmt.Appendf(nil, "%06d", i), val); err != nil {
			t.Fatal(err)
		}
		most = max(most, s.(*store).held)
		if i%1000 == 999 {
			s.Pending(nil)
			if err := s.Commit(false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if most > budget*3/2 { // dirty entries cannot be evicted
		t.Errorf("%d bytes were held, the budget is %d", most, budget)
	}
}

func TestErrors(t *testing.T) {
	db := database(t, vfs.NewMem())
	s := opened(t, db, "t")
	put(t, s, "k", "v")
	if err := s.Commit(false); err == nil {
		t.Error("commit without pending: no error")
	}
	k := s.Keyspace("x")
	if err := k.Put(make([]byte, maxKey+1), nil); err == nil {
		t.Error("a key of more than 1 MiB: no error")
	}
	if _, _, err := k.Update([]byte("k"), 7); err == nil {
		t.Error("a row of another size: no error")
	}
	nulls := topic.Bytes{Spans: []int32{-1, -1}}
	if err := k.UpdateBatch(&nulls, 8, make([][]byte, 1), make([]bool, 1)); err == nil {
		t.Error("a null key: no error")
	}
	if err := k.UpdateBatch(&nulls, 8, nil, nil); err == nil {
		t.Error("no room for rows: no error")
	}
	if _, err := Memory().View(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	s.Close()
	if _, _, err := k.Get([]byte("k")); err == nil {
		t.Error("get after close: no error")
	}
	for _, bad := range []string{"", "\x01", "\x02aaaaaaaaaaaa", "\x01aaaaaaaa\x01", "\x01aaaaaaaa\x00x"} {
		db.Set(append(appendText([]byte{keyState}, []byte("bad")), keyPosition), []byte(bad), nil)
		if _, err := Open(db, "bad"); err == nil {
			t.Errorf("position %q: no error", bad)
		}
	}
	db.Close()
}

func TestLargeValues(t *testing.T) {
	s := Memory()
	k := s.Keyspace("x")
	for _, n := range []int{0, 1, pageSize - 100, pageSize, pageSize + 1, 3 * pageSize} {
		key := fmt.Append(nil, n)
		if err := k.Put(key, bytes.Repeat([]byte{7}, n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{0, 1, pageSize - 100, pageSize, pageSize + 1, 3 * pageSize} {
		v, ok, _ := k.Get(fmt.Append(nil, n))
		if !ok || !bytes.Equal(v, bytes.Repeat([]byte{7}, n)) {
			t.Fatalf("value of %d bytes: %d come back", n, len(v))
		}
	}
}

func benchKeys(n int) *topic.Bytes {
	var keys topic.Bytes
	for i := range n {
		keys.Append(binary.BigEndian.AppendUint64([]byte{1}, uint64(i)*0x9e3779b97f4a7c15))
	}
	return &keys
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1e3, 1e6} {
		keys := benchKeys(n)
		b.Run(fmt.Sprintf("one/%d", n), func(b *testing.B) {
			k := Memory().Keyspace("x")
			for i := range n {
				k.Update(keys.At(i), 16)
			}
			i := uint64(0)
			for b.Loop() {
				i = i*6364136223846793005 + 1442695040888963407
				row, _, err := k.Update(keys.At(int(i>>33%uint64(n))), 16)
				if err != nil {
					b.Fatal(err)
				}
				row[0]++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
		b.Run(fmt.Sprintf("batch/%d", n), func(b *testing.B) {
			k := Memory().Keyspace("x")
			const size = 4096
			batches := make([]topic.Bytes, max(n/size, 1))
			i := uint64(0)
			for j := range batches {
				for range size {
					i = i*6364136223846793005 + 1442695040888963407
					batches[j].Append(keys.At(int(i >> 33 % uint64(n))))
				}
			}
			rows, fresh := make([][]byte, size), make([]bool, size)
			j := 0
			for b.Loop() {
				if err := k.UpdateBatch(&batches[j%len(batches)], 16, rows, fresh); err != nil {
					b.Fatal(err)
				}
				for _, r := range rows {
					r[0]++
				}
				j++
			}
			b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1e3, 1e5} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := database(b, vfs.NewMem())
			defer db.Close()
			s := opened(b, db, "t", Unsynced())
			k := s.Keyspace("x")
			keys := benchKeys(n)
			rows, fresh := make([][]byte, n), make([]bool, n)
			for b.Loop() {
				if err := k.UpdateBatch(keys, 16, rows, fresh); err != nil {
					b.Fatal(err)
				}
				s.Pending(nil)
				if err := s.Commit(false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(n), "ns/key")
		})
	}
}

// BenchmarkScanPrefix has the access pattern of a join: put, and scan the keys of one prefix,
// in a table of many prefixes.
func BenchmarkScanPrefix(b *testing.B) {
	k := Memory().Keyspace("x")
	key := func(i uint64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, i*0x9e3779b97f4a7c15%100_000), i)
	}
	i := uint64(0)
	for ; i < 300_000; i++ {
		k.Put(key(i), []byte("some value"))
	}
	rows := 0
	for b.Loop() {
		prefix := key(i)[:8]
		to := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(prefix)+1)
		for range k.Scan(prefix, to) {
			rows++
		}
		k.Put(key(i), []byte("some value"))
		i++
	}
}
