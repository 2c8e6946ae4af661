package streamql_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/state"
)

// TestSnapshotAfterLoss removes a process's disk. The process restores its state from the snapshot. The older
// part of the changelog has been deleted, so there is no other source.
func TestSnapshotAfterLoss(t *testing.T) {
	brokers, dir, name := kafkaAt(t), t.TempDir(), fmt.Sprintf("snap-%d", time.Now().UnixNano())
	objects, err := state.Directory(filepath.Join(t.TempDir(), "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	start := func() *process {
		return startProcess(t, brokers, name, streamql.WithDir(dir), streamql.WithSnapshots(objects, 50*time.Millisecond))
	}
	p := start()
	p.exec(fmt.Sprintf("CREATE STREAM s (id STRING KEY, v INT) WITH (topic='%s-in', format='json', partitions=1);", name))
	p.exec(fmt.Sprintf("CREATE TABLE sums WITH (topic='%s-out') AS SELECT id, SUM(v) AS total FROM s GROUP BY id;", name))
	var want []string
	for k := range 40 {
		p.exec(fmt.Sprintf("INSERT INTO s (id, v) VALUES ('k%02d', %d);", k, k))
		want = append(want, fmt.Sprintf("k%02d %d", k, k))
	}
	p.eventually(want, "SELECT id, total FROM sums;")
	before := time.Now()
	// a snapshot that was started when all rows were in the state
	for saved := false; !saved; time.Sleep(20 * time.Millisecond) {
		list, err := objects.List(t.Context(), "snapshots/")
		if err != nil {
			t.Fatal(err)
		}
		saved = slices.ContainsFunc(list, func(o state.Object) bool {
			return strings.Contains(o.Name, "/m/") && o.Modified.After(before.Add(200*time.Millisecond))
		})
		if time.Since(before) > 2*time.Second && !saved { // the same commit is not saved twice
			saved = len(list) > 0
		}
	}
	p.stop()
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	cutChangelog(t, brokers, name)
	bare := startProcess(t, brokers, name) // without snapshots the job fails; it does not return a wrong sum
	bare.until("SQ7301")
	bare.stop()
	p = start()
	p.exec("RESTART CTAS_sums_0;") // this one has a snapshot
	p.eventually(want, "SELECT id, total FROM sums;")
	p.exec("INSERT INTO s (id, v) VALUES ('k07', 100);")
	want[7] = "k07 107"
	p.eventually(want, "SELECT id, total FROM sums;")
}

// cutChangelog deletes all records of each changelog except the last, which is the position of the last
// commit.
func cutChangelog(t *testing.T, brokers []string, name string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	topics, err := admin.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, topic := range topics.Names() {
		if !strings.HasPrefix(topic, name+".changelog.") {
			continue
		}
		n++
		ends, err := admin.ListEndOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if topics[topic].Err != nil {
			t.Fatal(topics[topic].Err)
		}
		if _, err := admin.AlterTopicConfigs(t.Context(),
			[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact,delete")}},
			topic); err != nil {
			t.Fatal(err)
		}
		cut := kadm.Offsets{}
		ends.Each(func(o kadm.ListedOffset) { cut.AddOffset(o.Topic, o.Partition, max(o.Offset-2, 0), -1) })
		if got, err := admin.DeleteRecords(t.Context(), cut); err != nil || got.Error() != nil {
			t.Fatal(err, got.Error())
		}
	}
	if n == 0 {
		t.Fatal("there is no changelog")
	}
}

// full is an object store that rejects all writes.
type full struct{}

var errFull = errors.New("no room")

func (full) Create(context.Context, string, io.Reader) error      { return errFull }
func (full) Get(context.Context, string) (io.ReadCloser, error)   { return nil, errFull }
func (full) List(context.Context, string) ([]state.Object, error) { return nil, nil }
func (full) Delete(context.Context, string) error                 { return errFull }

// TestSnapshotFails checks that a failed snapshot is logged and that the job continues.
func TestSnapshotFails(t *testing.T) {
	name := fmt.Sprintf("full-%d", time.Now().UnixNano())
	var mu sync.Mutex
	var codes []string
	p := startProcess(t, kafkaAt(t), name, streamql.WithSnapshots(full{}, 20*time.Millisecond),
		streamql.WithWarnings(func(e *streamql.Error) {
			mu.Lock()
			defer mu.Unlock()
			codes = append(codes, e.Code)
		}))
	p.exec(fmt.Sprintf("CREATE STREAM s (id STRING KEY, v INT) WITH (topic='%s-in', format='json', partitions=1);", name))
	p.exec(fmt.Sprintf("CREATE TABLE sums WITH (topic='%s-out') AS SELECT id, SUM(v) AS total FROM s GROUP BY id;", name))
	for k := 0; ; k++ {
		p.exec("INSERT INTO s (id, v) VALUES ('a', 1);")
		p.eventually([]string{fmt.Sprintf("a %d", k+1)}, "SELECT id, total FROM sums;")
		mu.Lock()
		told := slices.Contains(codes, "SQ7401")
		mu.Unlock()
		if told {
			return
		}
		if k > 200 {
			t.Fatal("no log line says that snapshots fail")
		}
	}
}

// TestStandbyTakesOver checks that a standby takes over with its own copy. The changelog is deleted when the
// other process leaves.
func TestStandbyTakesOver(t *testing.T) {
	brokers, name := kafkaAt(t), fmt.Sprintf("standby-%d", time.Now().UnixNano())
	a := startProcess(t, brokers, name, streamql.WithStandbys(1))
	a.exec(fmt.Sprintf("CREATE STREAM s (id STRING KEY, v INT) WITH (topic='%s-in', format='json', partitions=4);", name))
	a.exec(fmt.Sprintf("CREATE TABLE sums WITH (topic='%s-out') AS SELECT id, SUM(v) AS total FROM s GROUP BY id;", name))
	b := startProcess(t, brokers, name, streamql.WithStandbys(1))
	var want []string
	for k := range 40 {
		a.exec(fmt.Sprintf("INSERT INTO s (id, v) VALUES ('k%02d', %d);", k, k))
		want = append(want, fmt.Sprintf("k%02d %d", k, k))
	}
	for _, p := range []*process{a, b} {
		p.eventually(want, "SELECT id, total FROM sums;")
	}
	time.Sleep(2 * time.Second) // until the copies have reached the ends of the changelogs
	cutChangelog(t, brokers, name)
	a.stop()
	b.eventually(want, "SELECT id, total FROM sums;")
	b.exec("INSERT INTO s (id, v) VALUES ('k07', 100);")
	want[7] = "k07 107"
	b.eventually(want, "SELECT id, total FROM sums;")
}
