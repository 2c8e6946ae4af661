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

// brokerage is the set of abilities that the engine needs of every broker. Other abilities are optional and found by
// type assertion.
type brokerage interface {
	topic.Broker
	topic.Admin
	topic.Timed
}

// connectBroker opens the embedded broker, or connects to Kafka and opens the local store for the state of tasks.
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
	e.states = &states{open: func(task string) (state.Store, error) { return state.Open(b.DB(), task) },
		close: func() error { return nil },
		disk:  func(task string) (int64, error) { return state.DiskUsage(b.DB(), task) }}
	return nil
}

// standbySession is the session timeout of a member on Kafka when standbys are configured. It equals the default
// transaction timeout: a new owner has to wait for the dead member's transaction anyway. Without standbys the timeout
// is longer, because restarting the member is faster than a restore on another one.
const standbySession = 10 * time.Second

// kafkaInterval is the commit interval on Kafka. kafkaHorizon is how far a local store may lag behind its changelog
// before compaction may have removed tombstones that it needs: half of the changelog's delete.retention.ms.
const (
	kafkaInterval = 100 * time.Millisecond
	kafkaHorizon  = 7 * 24 * time.Hour / 2
)

// openKafka validates the configuration for Kafka, sets its defaults, and connects.
func (e *Engine) openKafka(ctx context.Context) error {
	c := *e.c.Kafka
	if c.Name == "" {
		c.Name = "streamql"
	}
	if c.Name != topic.SafeName(c.Name) {
		return &lang.Error{Code: "SQ1101",
			Msg: fmt.Sprintf("the application name %q cannot be the prefix of a topic name: "+
				"use a-z, A-Z, 0-9, '.', '_' and '-' only", c.Name)}
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
		return &lang.Error{Code: "SQ1101",
			Msg: fmt.Sprintf("a commit interval of %v is too long: "+
				"the maximum is a quarter of the transaction timeout, %v", e.c.Interval, limit)}
	}
	if e.c.Standbys > 0 && c.SessionTimeout == 0 {
		c.SessionTimeout = standbySession
		// The other members learn of a rebalance from their next heartbeat.
		c.Heartbeat = cmp.Or(c.Heartbeat, standbySession/10)
	}
	if err := e.openStates(); err != nil {
		return err
	}
	return e.openCluster(ctx, c)
}

// openCluster connects to the cluster. It retries while the brokers are unreachable.
func (e *Engine) openCluster(ctx context.Context, c kafka.Config) error {
	var b *kafka.Broker
	// A broker whose cluster id cannot be read is closed before the next try, so that one is open at most.
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
	// close waits for it before it closes the database.
	e.background.Go(e.flushStates)
	if safe, err := b.DefensiveTransactions(ctx); err == nil && !safe {
		e.warn(&lang.Error{Code: "SQ7303", Level: lang.LevelWarning, Stage: lang.StageRun,
			Msg: "the cluster's transaction.version is below 2: " +
				"a delayed commit or abort can end a later transaction (KAFKA-17754)",
			Hint: "upgrade the cluster to Kafka 4.0 and transaction.version 2"})
	}
	return nil
}

// openStates opens the database of the tasks' state. It is in the engine's directory, or in memory if there is none. A
// database in memory is empty after a start, and every task replays its changelog. It runs before the connection: a
// locked or damaged directory is reported even if no broker responds.
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

// flushStates flushes the local store every Config.Flush, so that a crash costs the replay of a bounded time of the
// changelog. It runs on a goroutine of its own until the engine closes.
func (e *Engine) flushStates() {
	tick := time.NewTicker(e.c.Flush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = e.states.db.AsyncFlush() // the database reports a failure itself
		case <-e.ctx.Done():
			return
		}
	}
}

// instance returns the identifier of this process. It is stored in the directory, so that the process has the same
// identifier after a restart. durable is false without a directory.
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

// changelog returns the configuration of a job's changelogs, or nil if the broker stores the state. elsewhere has the
// relations that a connector reads, by topic; their topics do not exist in the cluster.
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
