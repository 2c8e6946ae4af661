// Package models is the registry of models' versions. Each model has a topic, which a goroutine of the registry's own follows. A version
// that is asked for comes from memory, and one that is not there yet is waited for on a channel. No lock is held while anything is read,
// written or waited for.
//
// A version's records are keyed by its id, text drawn by its writer. Its number is the rank of its manifest among the manifests of the
// topic, which every follower of the topic computes alike: writers need not know of one another, and none can take another's number.
// So that ranks stay, a manifest is never removed; a version that is dropped loses its chunks only.
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

// Broker is where the topics of models live.
type Broker interface {
	topic.Broker
	topic.Admin
}

// Config is what a Registry is given.
type Config struct {
	Broker Broker
	// Topic names a model's topic, and Training is the topic of the training log.
	Topic    func(model string) string
	Training string
	// NewID draws the id of a version: text without a slash that no other process draws.
	NewID func() string
	Now   func() time.Time
	// Warn is called by the registry's goroutines with what they met and try again; may be nil.
	Warn func(error)
	// Seen is called by the registry's goroutines with each version that has come, is corrupt or was dropped. old: it was there when the
	// following of its model began. May be nil.
	Seen func(model string, v Version, old bool)
	// Version is the program's, for the manifests it writes.
	Version string
}

// Registry has the versions of the models that it follows. Its methods may be called by several goroutines at once.
type Registry struct {
	config    Config
	ctx       context.Context
	stop      context.CancelFunc
	following sync.WaitGroup

	mu     sync.Mutex // guards models; nothing is read or waited for under it
	models map[string]*follower
}

// ErrNoVersion says that a model has no version that could serve, but may get one: Registry.Ready waits for it.
var ErrNoVersion = errors.New("it has no version yet")

var errClosed = errors.New("the registry of models is closed")

// New makes a Registry that follows no model yet.
func New(c Config) *Registry {
	r := &Registry{config: c, models: map[string]*follower{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Close ends all following and all waiting, and returns when the registry's goroutines have ended.
func (r *Registry) Close() {
	r.stop()
	r.mu.Lock()
	for _, f := range r.models {
		f.end(errClosed)
	}
	r.mu.Unlock()
	r.following.Wait()
}

// Create makes a model's topic unless it is there.
func (r *Registry) Create(ctx context.Context, model string) error {
	err := r.config.Broker.Create(ctx, r.config.Topic(model), topic.Config{Partitions: 1, RetentionMs: -1, Compact: true})
	if errors.Is(err, topic.ErrTopicExists) {
		return nil
	}
	return err
}

// Delete removes a model's topic with all versions; that it is not there is no error.
func (r *Registry) Delete(ctx context.Context, model string) error {
	err := r.config.Broker.Delete(ctx, r.config.Topic(model))
	if errors.Is(err, topic.ErrUnknownTopic) {
		return nil
	}
	return err
}

// Follow begins to follow a model's topic, if it is not followed already. It returns at once: Sync and Ready wait.
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

// Forget ends the following of a model. Callers that wait for it get the error that it does not exist.
func (r *Registry) Forget(model string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.models[model]; f != nil {
		f.end(noModel(model))
		delete(r.models, model)
	}
}

// follower is what follows a model.
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

// Versions lists the versions of a model by number: version n is element n-1. The list is not to be changed.
func (r *Registry) Versions(model string) []Version {
	f, err := r.follower(model)
	if err != nil {
		return nil
	}
	s, _ := f.look()
	return s.list
}

// Get returns a version's bundle and its number; number 0 asks for the newest good one, and gives a nil bundle when there is none yet.
func (r *Registry) Get(model string, number int) (*ml.Bundle, int, error) {
	f, err := r.follower(model)
	if err != nil {
		return nil, 0, err
	}
	s, _ := f.look()
	v, err := s.serving(model, number)
	if v == nil || err != nil {
		return nil, 0, err
	}
	return v.bundle, v.Number, nil
}

// Number is the number of the version with an id; ok is false while it is not known here.
func (r *Registry) Number(model, id string) (n int, ok bool) {
	f, err := r.follower(model)
	if err != nil {
		return 0, false
	}
	return f.number(id)
}
