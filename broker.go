package streamql

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

// shared reports whether other processes work on the same catalog and jobs.
func (e *Engine) shared() bool { return e.kafka != nil }

// connectBroker opens the embedded broker, or Kafka with a place for the state of tasks.
func (e *Engine) connectBroker(ctx context.Context) error {
	e.prefix, e.instance = "streamql", "1"
	if e.kafka != nil {
		return e.openKafka(ctx)
	}
	if !e.given && e.dir != "" {
		e.interval = 20 * time.Millisecond
	}
	opts := []local.Option{local.PollRecords(e.poll), local.Clock(func() int64 { return e.now().UnixMilli() })}
	if e.dir == "" {
		opts = append(opts, local.Memory())
	}
	b, err := local.Open(e.dir, append(opts, e.local...)...)
	if err != nil {
		return err
	}
	e.broker = b
	e.state = &states{open: func(task string) (state.Store, error) { return state.Open(b.DB(), task) }, close: func() error { return nil }}
	return nil
}

// states is where the state of tasks is stored on this machine.
type states struct {
	open  func(task string) (state.Store, error)
	close func() error
	db    *state.DB // nil: the broker keeps the state
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
	c := *e.kafka
	if c.Name == "" {
		c.Name = "streamql"
	}
	if c.Name != topic.SafeName(c.Name) {
		return &Error{Code: "SQ1101", Msg: fmt.Sprintf("the name %q cannot begin the name of a topic: letters, digits, '.', '_' and '-' can", c.Name)}
	}
	e.prefix = c.Name
	if !e.given {
		e.interval = kafkaInterval
	}
	var err error
	if e.instance, c.Durable, err = instance(e.dir); err != nil {
		return err
	}
	c.Instance, c.PollRecords = e.instance, e.poll
	if limit := cmp.Or(c.TransactionTimeout, 10*time.Second) / 4; e.interval > limit {
		return &Error{Code: "SQ1101", Msg: fmt.Sprintf("a commit interval of %v is too long: at most a quarter of the transaction timeout, %v", e.interval, limit)}
	}
	if e.standbys > 0 && c.SessionTimeout == 0 {
		c.SessionTimeout = standbySession
		c.Heartbeat = cmp.Or(c.Heartbeat, standbySession/10) // the others hear of it with their next one
	}
	if err := e.openStates(); err != nil {
		return err
	}
	b, err := kafka.Open(ctx, c)
	if err != nil {
		return errors.Join(err, e.state.close())
	}
	e.broker = b
	cluster, err := b.ClusterID(ctx)
	if err != nil {
		return errors.Join(err, b.Close(), e.state.close())
	}
	e.cluster = cluster
	e.background.Go(e.flushStates)
	if safe, err := b.DefensiveTransactions(ctx); err == nil && !safe && e.warn != nil {
		e.warn(&Error{Code: "SQ7303", Level: lang.LevelWarning, Stage: lang.StageRun, Msg: "the cluster's transaction.version is below 2: a delayed end of a transaction can hit a later one (KAFKA-17754)",
			Hint: "upgrade the cluster to Kafka 4.0 and transaction.version 2"})
	}
	return nil
}

// openStates opens the database of the tasks' state: in the directory, or in memory, where every start replays the changelogs.
func (e *Engine) openStates() error {
	dir := ""
	if e.dir != "" {
		dir = filepath.Join(e.dir, "state")
	}
	db, err := state.OpenDB(dir, e.disk, func(err error) {
		if e.warn != nil {
			e.warn(wrap(err, nil).(*Error))
		}
	})
	if err != nil {
		return err
	}
	e.state = &states{db: db, close: func() error { return errors.Join(db.Flush(), db.Close()) }}
	e.state.open = func(task string) (state.Store, error) {
		return state.Open(db.DB, task, state.Unsynced(), state.Budget(e.memory))
	}
	return nil
}

// flushStates bounds in time, too, what a kill may lose to the changelog.
func (e *Engine) flushStates() {
	tick := time.NewTicker(e.flush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = e.state.db.AsyncFlush() // if it fails, the database says so itself
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

// log says how a job's state is kept on Kafka; nil where the broker keeps it.
func (e *Engine) log(j string) *exec.Log {
	if e.state.db == nil {
		return nil
	}
	l := &exec.Log{Cluster: e.cluster, Horizon: kafkaHorizon, Address: e.address, Standbys: e.standbys,
		Replay: func(task string) (*state.Replay, error) { return state.NewReplay(e.state.db.DB, task) },
		Kept: func(name string) bool {
			_, elsewhere := e.connectors.Load(name)
			return !elsewhere
		},
		AtLeastOnce: e.guarantees[j] == atLeastOnce,
		Assigned: func(job string, a topic.Assignment) {
			e.owners.set(job, a)
			if e.assigned != nil {
				e.assigned(job, a)
			}
		},
	}
	if e.snapshots != nil {
		s := &state.Snapshots{Objects: e.snapshots, Prefix: "snapshots/v1/" + e.cluster, Now: time.Now}
		l.SaveEvery = e.every
		l.Save = func(ctx context.Context, task string) error {
			_, err := s.Save(ctx, e.state.db, task)
			return err
		}
		l.Load = func(ctx context.Context, task string, usable func(state.Log) bool) error {
			_, err := s.Load(ctx, e.state.db, task, usable)
			return err
		}
	}
	return l
}

// follow calls behind whenever something has come behind a span's beginning, until ctx ends. Readers wait while a broker is away; what
// else goes wrong is tried again.
func (e *Engine) follow(ctx context.Context, span topic.Span, behind func() error) {
	for ctx.Err() == nil {
		err := e.followOnce(ctx, &span, behind)
		if err != nil && ctx.Err() == nil && e.warn != nil && !errors.Is(err, topic.ErrTopicReplaced) {
			e.warn(wrap(fmt.Errorf("following %s: %w", span.Partition, err), nil).(*Error))
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func (e *Engine) followOnce(ctx context.Context, span *topic.Span, behind func() error) error {
	r, err := e.broker.Open(ctx, []topic.Span{*span})
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		fetches, err := r.Poll(ctx)
		if err != nil {
			return err
		}
		if err := behind(); err != nil {
			return err // what has come is met again
		}
		for i := range fetches {
			span.From = fetches[i].Next
		}
	}
}
