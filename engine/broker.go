package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/decide"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/kafka"
	"github.com/streamql/streamql/topic/local"
)

// brokerage is what the engine asks of a broker.
type brokerage interface {
	topic.Broker
	topic.Admin
	topic.Timed
}

// connectBroker opens the embedded broker, or Kafka with a place for the state of tasks.
func (e *Engine) connectBroker(ctx context.Context) error {
	e.prefix, e.instance = "streamql", "1"
	if e.c.Kafka != nil {
		return e.openKafka(ctx)
	}
	if !e.c.Paced && e.c.Dir != "" {
		e.c.Interval = 20 * time.Millisecond
	}
	opts := []local.Option{local.PollRecords(e.c.Poll), local.Clock(func() int64 { return e.c.Now().UnixMilli() })}
	if e.c.Dir == "" {
		opts = append(opts, local.Memory())
	}
	b, err := local.Open(e.c.Dir, append(opts, e.c.Local...)...)
	if err != nil {
		return err
	}
	e.broker = b
	e.states = &states{open: func(task string) (state.Store, error) { return state.Open(b.DB(), task) }, close: func() error { return nil },
		disk: func(task string) (int64, error) { return state.DiskUsage(b.DB(), task) }}
	return nil
}

// standbySession is how long a process that has died keeps its tasks when others have copies of their state: as long as the transaction that
// it leaves behind may hold them up. Without standbys it is longer, because whoever restarts it is quicker than a restore elsewhere.
const standbySession = 10 * time.Second

// Kafka's commit interval, and how long a local store may stand still before deletions may be gone from its changelog: half of the
// changelog's delete.retention.ms.
const (
	kafkaInterval = 100 * time.Millisecond
	kafkaHorizon  = 7 * 24 * time.Hour / 2
)

func (e *Engine) openKafka(ctx context.Context) error {
	c := *e.c.Kafka
	if c.Name == "" {
		c.Name = "streamql"
	}
	if c.Name != topic.SafeName(c.Name) {
		return &lang.Error{Code: "SQ1101", Msg: fmt.Sprintf("the name %q cannot begin the name of a topic: letters, digits, '.', '_' and '-' can", c.Name)}
	}
	e.prefix = c.Name
	if !e.c.Paced {
		e.c.Interval = kafkaInterval
	}
	var err error
	if e.instance, c.Durable, err = instance(e.c.Dir); err != nil {
		return err
	}
	c.Instance, c.PollRecords = e.instance, e.c.Poll
	if limit := cmp.Or(c.TransactionTimeout, 10*time.Second) / 4; e.c.Interval > limit {
		return &lang.Error{Code: "SQ1101", Msg: fmt.Sprintf("a commit interval of %v is too long: at most a quarter of the transaction timeout, %v", e.c.Interval, limit)}
	}
	if e.c.Standbys > 0 && c.SessionTimeout == 0 {
		c.SessionTimeout = standbySession
		c.Heartbeat = cmp.Or(c.Heartbeat, standbySession/10) // the others hear of it with their next one
	}
	if err := e.openStates(); err != nil {
		return err
	}
	return e.openCluster(ctx, c)
}

// openCluster connects to the cluster, and waits for one that is away.
func (e *Engine) openCluster(ctx context.Context, c kafka.Config) error {
	var b *kafka.Broker
	err := e.retry(ctx, "connect", func() (err error) {
		if b, err = kafka.Open(ctx, c); err != nil {
			return err
		}
		if e.cluster, err = b.ClusterID(ctx); err != nil {
			return errors.Join(err, b.Close())
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, e.states.close())
	}
	e.broker = b
	e.background.Go(e.flushStates)
	if safe, err := b.DefensiveTransactions(ctx); err == nil && !safe {
		e.warn(&lang.Error{Code: "SQ7303", Level: lang.LevelWarning, Stage: lang.StageRun, Msg: "the cluster's transaction.version is below 2: a delayed end of a transaction can hit a later one (KAFKA-17754)",
			Hint: "upgrade the cluster to Kafka 4.0 and transaction.version 2"})
	}
	return nil
}

// openStates opens the database of the tasks' state: in the directory, or in memory, where every start replays the changelogs.
func (e *Engine) openStates() error {
	dir := ""
	if e.c.Dir != "" {
		dir = filepath.Join(e.c.Dir, "state")
	}
	db, err := state.OpenDB(dir, e.c.Disk, e.warn)
	if err != nil {
		return err
	}
	e.states = &states{db: db, disk: db.DiskUsage, close: func() error { return errors.Join(db.Flush(), db.Close()) }}
	e.states.open = func(task string) (state.Store, error) {
		return state.Open(db.DB, task, state.Unsynced(), state.Budget(e.c.Memory))
	}
	return nil
}

// flushStates bounds in time, too, what a kill may lose to the changelog.
func (e *Engine) flushStates() {
	tick := time.NewTicker(e.c.Flush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = e.states.db.AsyncFlush() // if it fails, the database says so itself
		case <-e.ctx.Done():
			return
		}
	}
}

// instance is this process's own name, kept in its directory so that a restart is known to be the same.
func instance(dir string) (name string, durable bool, err error) {
	if dir == "" {
		return strings.ToLower(rand.Text()[:12]), false, nil
	}
	path := filepath.Join(dir, "instance")
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", false, err
	}
	name = strings.ToLower(rand.Text()[:12])
	return name, true, os.WriteFile(path, []byte(name+"\n"), 0o600)
}

// changelog says how a job's state is kept on Kafka; nil where the broker keeps it. elsewhere are the topics that are not the cluster's.
func (e *Engine) changelog(j *catalog.Job, elsewhere map[string]*catalog.Relation) *exec.Log {
	if e.states.db == nil {
		return nil
	}
	l := &exec.Log{Cluster: e.cluster, Horizon: kafkaHorizon, Address: e.c.Address, Standbys: e.c.Standbys,
		Replay: func(task string) (*state.Replay, error) { return state.NewReplay(e.states.db.DB, task) },
		Kept: func(name string) bool {
			_, connected := elsewhere[name]
			return !connected
		},
		AtLeastOnce: j.Guarantee == decide.AtLeastOnce, SkipDamaged: j.Resume == catalog.ResumeSkip,
		Restores: e.reportReplay,
		Assigned: func(job string, a topic.Assignment) {
			e.owners.set(job, a)
			e.reportAssignment(job, a)
			if e.c.Assigned != nil {
				e.c.Assigned(job, a)
			}
		},
	}
	if e.c.Snapshots != nil {
		s := &state.Snapshots{Objects: e.c.Snapshots, Prefix: "snapshots/v1/" + e.cluster, Now: time.Now}
		l.SaveEvery = e.c.SaveEvery
		l.Save = func(ctx context.Context, task string) error {
			_, err := s.Save(ctx, e.states.db, task)
			e.reportSnapshot(ctx, task, err)
			return err
		}
		l.Load = func(ctx context.Context, task string, usable func(state.Log) bool) error {
			_, err := s.Load(ctx, e.states.db, task, usable)
			return err
		}
	}
	return l
}
