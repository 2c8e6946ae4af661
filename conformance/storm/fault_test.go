//go:build synctests

package storm

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestBrokerAwayForAMinute(t *testing.T) {
	inLab(t, "", func(l *lab) {
		l.write("a", 5)
		l.counted(time.Minute)
		address := l.fake.ListenAddrs()[l.fake.LeaderFor("s", 0)]
		l.brokers.Lock()
		l.down[address] = true
		l.brokers.Unlock()
		for _, c := range l.all() {
			c.drop(address)
		}
		time.Sleep(time.Minute)
		l.brokers.Lock()
		clear(l.down)
		l.brokers.Unlock()
		l.write("a", 20)
		l.write("b", 20)
		l.counted(2 * time.Minute)
	})
}

func TestLeadersMove(t *testing.T) {
	inLab(t, "", func(l *lab) {
		for n := range int32(12) {
			l.write("a", 2)
			l.write("b", 1)
			for _, topic := range []string{"s", "o", "app.changelog.CTAS_o_0.0"} {
				if err := l.fake.MoveTopicPartition(topic, n%2, (l.fake.LeaderFor(topic, n%2)+1)%3); err != nil {
					t.Fatal(err)
				}
			}
			l.fake.RehashCoordinators()
			time.Sleep(3 * time.Second)
		}
		l.counted(time.Minute)
	})
}

// passed makes retention delete records before the job has read them: offsets 4 to 9 of s[0].
func passed(l *lab) {
	l.write("a", 4)
	l.counted(time.Minute)
	l.stop()
	l.write("a", 10)
	l.put["a"] -= 5
	if err := l.fake.DeleteRecords("s", 0, 9); err != nil {
		l.t.Fatal(err)
	}
	l.processes[0].start()
}

func TestRetentionOvertakes(t *testing.T) {
	inLab(t, "", func(l *lab) {
		passed(l)
		l.fails("SQ8001", "offsets 4 to 9 of s[0]")
	})
}

func TestRetentionOvertakesAndIsSkipped(t *testing.T) {
	inLab(t, " ON GAP SKIP", func(l *lab) {
		passed(l)
		l.counted(time.Minute)
		if _, _, gaps := l.status(); gaps != 5 {
			t.Errorf("%d offsets are counted as lost", gaps)
		}
		if got := l.letters(); got["SQ8001"] != 1 {
			t.Errorf("%v is reported", got)
		}
	})
}

func TestTopicIsMadeAnew(t *testing.T) {
	for _, running := range []bool{true, false} {
		inLab(t, "", func(l *lab) {
			l.write("a", 4)
			l.counted(time.Minute)
			if !running {
				l.stop()
			}
			if err := l.fake.DeleteTopic("s"); err != nil {
				t.Fatal(err)
			}
			if err := l.fake.CreateTopic("s", 2, nil); err != nil {
				t.Fatal(err)
			}
			if !running {
				l.processes[0].start()
			}
			l.fails("SQ5006", `"s"`)
		})
	}
}

func TestPartitionsAreAdded(t *testing.T) {
	for _, running := range []bool{true, false} {
		inLab(t, "", func(l *lab) {
			l.write("a", 4)
			l.counted(time.Minute)
			if !running {
				l.stop()
			}
			if _, err := l.adm.CreatePartitions(context.Background(), 1, "s"); err != nil {
				t.Fatal(err)
			}
			if !running {
				l.processes[0].start()
			}
			l.fails("SQ5009", `"s"`)
		})
	}
}

func TestPoisonRecord(t *testing.T) {
	inLab(t, "", func(l *lab) {
		l.write("a", 2)
		if err := l.cl.ProduceSync(context.Background(),
			&kgo.Record{Topic: "s", Key: []byte("a"), Value: []byte("{")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		l.write("a", 2)
		l.counted(time.Minute)
		l.processes[0].kill("to see one dead letter")
		l.write("a", 2)
		l.counted(2 * time.Minute)
		if got := l.letters(); got["SQ5102"] != 1 || len(got) != 1 {
			t.Errorf("dead letters %v", got)
		}
	})
}

func TestGroupIsMovedForward(t *testing.T) {
	inLab(t, "", func(l *lab) {
		l.write("a", 4)
		l.counted(time.Minute)
		l.stop()
		l.write("a", 4)
		var at kadm.Offsets
		at.Add(kadm.Offset{Topic: "s", Partition: 0, At: 7, LeaderEpoch: -1})
		if err := l.adm.CommitAllOffsets(context.Background(), "app.CTAS_o_0", at); err != nil {
			t.Fatal(err)
		}
		l.processes[0].start()
		l.fails("SQ7301", "7", "4")
	})
}

func TestGroupIsDeleted(t *testing.T) {
	inLab(t, "", func(l *lab) {
		l.write("a", 4)
		l.counted(time.Minute)
		l.stop()
		if _, err := l.adm.DeleteGroup(context.Background(), "app.CTAS_o_0"); err != nil {
			t.Fatal(err)
		}
		l.write("a", 4)
		l.processes[0].start()
		l.counted(time.Minute)
	})
}

func TestChangelogIsDeleted(t *testing.T) {
	inLab(t, "", func(l *lab) {
		l.write("a", 4)
		l.counted(time.Minute)
		l.stop()
		if err := l.fake.DeleteTopic("app.changelog.CTAS_o_0.0"); err != nil {
			t.Fatal(err)
		}
		l.processes[0].start()
		l.fails("app.changelog.CTAS_o_0.0")
	})
}

// TestLargeRecords checks that a record of 10 MB is read. A row that is too large for its topic becomes a
// dead letter, and the rows after it are processed.
func TestLargeRecords(t *testing.T) {
	inLab(t, "", func(l *lab) {
		large := "12000000"
		if err := l.fake.CreateTopic("big", 1, map[string]string{"max.message.bytes": large}); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"CREATE STREAM big (k STRING KEY, v STRING) WITH (kafka_topic='big', value_format='json');",
			"CREATE STREAM small AS SELECT k, v FROM big WHERE LEN(v) > 0 EMIT CHANGES;",
			"CREATE STREAM sizes AS SELECT k, LEN(v) AS n FROM big EMIT CHANGES;"} {
			if err := l.define(text); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range []string{"one", strings.Repeat("x", 10_000_000), "two"} {
			if err := l.cl.ProduceSync(context.Background(),
				&kgo.Record{Topic: "big", Key: []byte("k"), Value: []byte(`{"v":"` + v + `"}`)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		read, err := l.read("small", "sizes")
		if err != nil {
			t.Fatal(err)
		}
		if n := len(read["small"]); n != 2 {
			t.Errorf("%d rows were processed", n)
		}
		if s := read["sizes"]; len(s) != 3 || string(s[1].Value) != `{"n":10000000}` {
			t.Errorf("%d sizes", len(s))
		}
		if got := l.letters(); got["SQ5105"] != 1 {
			t.Errorf("dead letters %v", got)
		}
	})
}

// TestStateOfAnotherCluster checks that a job does not use the state that it has from another cluster.
func TestStateOfAnotherCluster(t *testing.T) {
	var dir string
	inLab(t, "", func(l *lab) {
		l.write("a", 4)
		l.counted(time.Minute)
		dir = l.processes[0].dir
		other := l.processes[0].fs
		l.stop()
		// and created again, empty, as on another cluster
		if err := l.fake.DeleteTopic("app.changelog.CTAS_o_0.0"); err != nil {
			t.Fatal(err)
		}
		if err := l.fake.CreateTopic("app.changelog.CTAS_o_0.0", 2, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := l.adm.DeleteGroup(context.Background(), "app.CTAS_o_0"); err != nil {
			t.Fatal(err)
		}
		l.processes[0].dir, l.processes[0].fs = dir, other
		l.processes[0].start()
		time.Sleep(time.Minute)
		read, err := l.read("o")
		if err != nil {
			t.Fatal(err)
		}
		// from the beginning, with an empty state
		if n := len(read["o"]); n != 8 || string(read["o"][4].Value) != `{"n":1}` {
			t.Errorf("%d rows", n)
		}
	})
}

// TestAtLeastOnce loses the requests and responses of an at-least-once job, and its process. Each row is
// counted, possibly twice.
func TestAtLeastOnce(t *testing.T) {
	inLab(t, "", func(l *lab) {
		if err := l.define("SET 'processing.guarantee'='at_least_once'; CREATE STREAM copy AS SELECT k, a FROM s EMIT CHANGES;"); err != nil {
			t.Fatal(err)
		}
		p := l.processes[0]
		for n := range 8 {
			key := []kmsg.Key{kmsg.OffsetCommit, kmsg.Produce}[n%2]
			lost := n%4 < 2
			l.lay(&trap{key: int16(key), skip: n % 3, act: func() bool { p.kill("at " + key.Name()); return lost }})
			l.write("a", 5)
			time.Sleep(20 * time.Second)
		}
		l.mu.Lock()
		l.traps = nil
		l.mu.Unlock()
		l.counted(2 * time.Minute) // the other job is exactly-once throughout
		read, err := l.read("copy")
		if err != nil {
			t.Fatal(err)
		}
		if n := len(read["copy"]); n < 40 {
			t.Errorf("%d of 40 rows", n)
		}
	})
}

// TestEndTxnIsLost loses the request or the response that ends a transaction. Nothing is blocked for longer
// than the transaction timeout.
func TestEndTxnIsLost(t *testing.T) {
	for _, asked := range []bool{false, true} {
		inLab(t, "", func(l *lab) {
			p := l.processes[0]
			l.write("a", 3)
			l.counted(time.Minute)
			l.lay(&trap{key: int16(kmsg.EndTxn), match: func(req kmsg.Request) bool { return p.ends(req) }, act: func() bool {
				if !asked {
					l.deafen(p)
				}
				return asked
			}})
			l.write("a", 3)
			l.counted(time.Minute)
		})
	}
}
