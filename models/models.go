// Package models is the registry of model versions. Each model has a topic, which a goroutine
// of the registry follows. Versions are served from memory; callers wait on a channel for one
// that does not exist yet. No lock is held during I/O or while waiting.
//
// The records of a version are keyed by its id, a text that its writer draws at random. Its
// number is the rank of its manifest among the manifests of the topic, which all followers of
// the topic compute alike. Writers therefore need no coordination, and no two versions get the
// same number. To keep ranks stable, manifests are never removed; dropping a version deletes
// only its chunks.
package models

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// Broker stores the topics of models.
type Broker interface {
	topic.Broker
	topic.Admin
}

// Config is the environment of a Registry.
type Config struct {
	Broker Broker
	// Topic returns the name of a model's topic, and Training is the topic of the training log.
	Topic    func(model string) string
	Training string
	// NewID returns a new version id: text without a slash that no other process draws.
	NewID func() string
	Now   func() time.Time
	// Warn is called by the registry's goroutines with errors that they retry; may be nil.
	Warn func(error)
	// Seen is called by the registry's goroutines with each version that was read, is corrupt
	// or was dropped. old: it existed before the registry began to follow its model. May be
	// nil.
	Seen func(model string, v Version, old bool)
	// Version is the version of the program, for manifests.
	Version string
}

// Registry contains the versions of the models that it follows. It is safe for concurrent use.
type Registry struct {
	config    Config
	ctx       context.Context
	stop      context.CancelFunc
	following sync.WaitGroup

	mu     sync.Mutex // guards models; never held during I/O or while waiting
	models map[string]*follower
}

// ErrNoVersion reports that a model has no valid version yet. Registry.Ready waits for one.
var ErrNoVersion = errors.New("it has no version yet")

var errClosed = errors.New("the registry of models is closed")

// New returns a Registry that follows no model.
func New(c Config) *Registry {
	r := &Registry{config: c, models: map[string]*follower{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Close ends all following and waiting, and returns when the registry's goroutines have ended.
func (r *Registry) Close() {
	r.stop()
	r.mu.Lock()
	for _, f := range r.models {
		f.end(errClosed)
	}
	r.mu.Unlock()
	r.following.Wait()
}

// Create creates a model's topic unless it exists.
func (r *Registry) Create(ctx context.Context, model string) error {
	err := r.config.Broker.Create(
		ctx,
		r.config.Topic(model),
		topic.Config{Partitions: 1, RetentionMs: -1, Compact: true},
	)
	if errors.Is(err, topic.ErrTopicExists) {
		return nil
	}
	return err
}

// Delete deletes a model's topic with all versions. A missing topic is not an error.
func (r *Registry) Delete(ctx context.Context, model string) error {
	err := r.config.Broker.Delete(ctx, r.config.Topic(model))
	if errors.Is(err, topic.ErrUnknownTopic) {
		return nil
	}
	return err
}

// Follow starts following a model's topic unless it is already followed. It does not wait: Sync
// and Ready do.
func (r *Registry) Follow(model string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.models[model] != nil || r.ctx.Err() != nil {
		return
	}
	f := newFollower(r, model)
	r.models[model] = f
	r.following.Go(f.run)
}

// Forget ends the following of a model. Waiting callers get the error that the model does not
// exist.
func (r *Registry) Forget(model string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.models[model]; f != nil {
		f.end(noModel(model))
		delete(r.models, model)
	}
}

// follower returns the follower of a model.
func (r *Registry) follower(model string) (*follower, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.models[model]; f != nil {
		return f, nil
	}
	return nil, noModel(model)
}

func noModel(model string) error {
	return &lang.Error{Code: "SQ6001", Stage: lang.StagePlan, Msg: fmt.Sprintf("model %q does not exist", model)}
}

// Versions returns the versions of a model by number: version n is element n-1. The caller must
// not change the list.
func (r *Registry) Versions(model string) []Version {
	f, err := r.follower(model)
	if err != nil {
		return nil
	}
	s, _ := f.look()
	return s.list
}

// Get returns a version's bundle and number. Number 0 selects the newest valid version; the
// bundle is nil if there is none yet.
func (r *Registry) Get(model string, number int) (*ml.Bundle, int, error) {
	return r.get(model, number, nil)
}

// get is Get, with number 0 for the newest version for which accepts returns true (nil: any).
func (r *Registry) get(model string, number int, accepts func(any) bool) (*ml.Bundle, int, error) {
	f, err := r.follower(model)
	if err != nil {
		return nil, 0, err
	}
	s, _ := f.look()
	v, err := s.serving(model, number)
	if number == 0 {
		v, err = s.newest(model, accepts)
	}
	if v == nil || err != nil {
		return nil, 0, err
	}
	return v.bundle, v.Number, nil
}

// Number returns the number of the version with an id; ok is false while it is unknown here.
func (r *Registry) Number(model, id string) (n int, ok bool) {
	f, err := r.follower(model)
	if err != nil {
		return 0, false
	}
	return f.number(id)
}
