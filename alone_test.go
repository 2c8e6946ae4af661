package streamql_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/streamql/streamql"
)

// TestInputIsDeleted deletes the input of one of two jobs. That job fails in both processes, and the other
// continues. It stays FAILED, also in a process that starts later and in one that runs no jobs, until RESUME
// .. FROM OFFSETS reads the present topics.
func TestInputIsDeleted(t *testing.T) {
	brokers, name := kafkaAt(t), fmt.Sprintf("gone-%d", time.Now().UnixNano())
	a, b := startProcess(t, brokers, name), startProcess(t, brokers, name)
	text := strings.ReplaceAll(`SET 'auto.offset.reset'='earliest';
		CREATE STREAM a (v INT) WITH (topic='§-a', format='json', partitions=2); CREATE STREAM b (v INT) WITH (topic='§-b', format='json', partitions=2);
		CREATE STREAM oa WITH (topic='§-oa') AS SELECT v FROM a; CREATE STREAM ob WITH (topic='§-ob') AS SELECT v FROM b;
		INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);`, "§", name)
	a.exec(text)
	a.eventually([]string{"1"}, "SELECT v FROM oa SINCE EARLIEST UNTIL NOW;")
	admin(t, brokers, func(ctx context.Context, c *kadm.Client) error {
		_, err := c.DeleteTopic(ctx, name+"-a")
		return err
	})
	a.until("SQ5006")
	b.until("SQ5006")
	b.exec("INSERT INTO b VALUES (2);")
	a.eventually([]string{"1", "2"}, "SELECT v FROM ob SINCE EARLIEST UNTIL NOW;")
	idle := startProcess(t, brokers, name, streamql.WithoutJobs())
	idle.until("SQ5006")
	b.stop()
	b = startProcess(t, brokers, name)
	b.until("SQ5006")
	admin(t, brokers, func(ctx context.Context, c *kadm.Client) error {
		_, err := c.CreateTopic(ctx, 2, -1, nil, name+"-a")
		return err
	})
	idle.exec("INSERT INTO a VALUES (7); RESTART CSAS_oa_0;")
	idle.until("SQ5006") // it is a different topic; a might not have read the restart yet
	idle.exec("RESUME CSAS_oa_0 FROM OFFSETS;")
	a.eventually([]string{"1", "7"}, "SELECT v FROM oa SINCE EARLIEST UNTIL NOW;")
	b.exec("INSERT INTO a VALUES (8);")
	a.eventually([]string{"1", "7", "8"}, "SELECT v FROM oa SINCE EARLIEST UNTIL NOW;")
	b.stop() // the tasks move, and the epoch must not change again
	a.exec("INSERT INTO a VALUES (9);")
	a.eventually([]string{"1", "7", "8", "9"}, "SELECT v FROM oa SINCE EARLIEST UNTIL NOW;")
}

// The positions of a job's group are moved from outside. The job fails instead of losing the rows in between, until a user decides where it
// continues: from the positions of its state, or from those of the group.
func TestGroupIsMoved(t *testing.T) {
	brokers := kafkaAt(t)
	for from, want := range map[string][]string{"STATE": {"31"}, "OFFSETS": {"23"}} {
		t.Run(from, func(t *testing.T) {
			name := fmt.Sprintf("moved-%s-%d", strings.ToLower(from), time.Now().UnixNano())
			p := startProcess(t, brokers, name)
			p.exec(strings.ReplaceAll(`CREATE STREAM s (k INT KEY, v INT) WITH (topic='§-s', format='json', partitions=1);
				CREATE TABLE sums WITH (topic='§-sums') AS SELECT k, SUM(v) AS total FROM s GROUP BY k;
				INSERT INTO s VALUES (1, 1), (1, 2), (1, 4);`, "§", name))
			p.eventually([]string{"7"}, "SELECT total FROM sums;")
			p.stop()
			idle := startProcess(t, brokers, name, streamql.WithoutJobs())
			idle.exec("INSERT INTO s VALUES (1, 8);")
			admin(t, brokers, func(ctx context.Context, c *kadm.Client) error {
				var offsets kadm.Offsets
				ends, err := c.ListEndOffsets(ctx, name+"-s")
				if err != nil {
					return err
				}
				end, _ := ends.Lookup(name+"-s", 0)
				offsets.AddOffset(name+"-s", 0, end.Offset, -1)
				return c.CommitAllOffsets(ctx, name+".CTAS_sums_0", offsets)
			})
			p = startProcess(t, brokers, name)
			p.until("SQ7301")
			idle.exec("RESUME CTAS_sums_0 FROM " + from + "; INSERT INTO s VALUES (1, 16);")
			p.eventually(want, "SELECT total FROM sums;")
			p.stop()
			p = startProcess(t, brokers, name) // the decision counts once
			p.eventually(want, "SELECT total FROM sums;")
		})
	}
}

func admin(t *testing.T, brokers []string, f func(context.Context, *kadm.Client) error) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := f(t.Context(), kadm.NewClient(cl)); err != nil {
		t.Fatal(err)
	}
}

// TestStartTogether starts processes at the same time with one text. Each relation is defined once: ids have
// no gaps, and no topic is left over.
func TestStartTogether(t *testing.T) {
	brokers := kafkaAt(t)
	text := func(name string) string {
		return strings.ReplaceAll(`SET 'auto.offset.reset'='earliest';
			CREATE STREAM s (id STRING KEY, g STRING, v DOUBLE) WITH (topic='§-in', format='json', partitions=3);
			CREATE STREAM big WITH (topic='§-big') AS SELECT * FROM s WHERE v > 5;
			CREATE TABLE sums WITH (topic='§-sums') AS SELECT g, SUM(v) AS total FROM s GROUP BY g;
			CREATE TABLE counts WITH (topic='§-counts') AS SELECT id, COUNT(*) AS n FROM big GROUP BY id;`, "§", name)
	}
	made := func(name string, processes int) (jobs, topics []string) {
		list := make([]*process, processes)
		var wg sync.WaitGroup
		for i := range list {
			list[i] = startProcess(t, brokers, name, streamql.WithRepeats(), streamql.WithPatience(time.Minute))
		}
		for _, p := range list {
			wg.Go(func() {
				if err := p.Exec(t.Context(), text(name)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, p := range list {
			p.eventually([]string{"RUNNING", "RUNNING", "RUNNING"}, "SELECT status FROM streamql.jobs;")
		}
		jobs, err := list[0].rows("SELECT job FROM streamql.jobs;")
		if err != nil {
			t.Fatal(err)
		}
		admin(t, brokers, func(ctx context.Context, c *kadm.Client) error {
			all, err := c.ListTopics(ctx)
			for _, topic := range all.Names() {
				if strings.HasPrefix(topic, name) {
					topics = append(topics, strings.TrimPrefix(topic, name))
				}
			}
			return err
		})
		for _, p := range list {
			p.stop()
		}
		return jobs, topics
	}
	stamp := time.Now().UnixNano()
	jobs, topics := made(fmt.Sprintf("one-%d", stamp), 1)
	for round := range 3 {
		moreJobs, moreTopics := made(fmt.Sprintf("five-%d-%d", stamp, round), 5)
		if !slices.Equal(jobs, moreJobs) || !slices.Equal(topics, moreTopics) {
			t.Errorf("with five processes the jobs are %v and the topics %v, with one %v and %v", moreJobs, moreTopics, jobs,
				topics)
		}
	}
}
