package models

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamql/streamql/topic"
)

// Sync returns when everything that was committed to a model's topic before the call is
// visible. A missing topic counts as empty.
func (r *Registry) Sync(ctx context.Context, model string) error {
	f, err := r.follower(model)
	if err != nil {
		return err
	}
	for {
		s, _ := f.look()
		if s.ended != nil {
			return s.ended
		}
		d, err := r.config.Broker.Describe(ctx, r.config.Topic(model))
		if errors.Is(err, topic.ErrUnknownTopic) {
			return nil
		}
		if err != nil {
			return err
		}
		f.hurry()
		// If the topic is recreated meanwhile, it is described again.
		replaced := false
		err = f.await(ctx, func(now *snapshot) (bool, error) {
			replaced = now.topic != d.ID && now.topic != s.topic
			return replaced || now.topic == d.ID && now.next >= d.Partitions[0].To, nil
		})
		if err != nil || !replaced {
			return err
		}
	}
}

// Ready waits until a version is ready: the one with the number, or for 0 any. It waits while
// the model has no version or its topic has not been read yet. A version that is corrupt or was
// dropped, and a number beyond the newest, are errors.
func (r *Registry) Ready(ctx context.Context, model string, number int) error {
	f, err := r.follower(model)
	if err != nil {
		return err
	}
	return f.await(ctx, func(s *snapshot) (bool, error) {
		if !s.caught { // there may be a newer version
			return false, nil
		}
		v, err := s.serving(model, number)
		return v != nil, err
	})
}

// Waits returns the reason for which Ready would wait; nil: it would not.
func (r *Registry) Waits(model string, number int) error {
	f, err := r.follower(model)
	if err != nil {
		return nil
	}
	s, _ := f.look()
	if !s.caught {
		return fmt.Errorf("the topic of model %q is being read", model)
	}
	if v, err := s.serving(model, number); v == nil && err == nil {
		return fmt.Errorf("model %q: %w", model, ErrNoVersion)
	}
	return nil
}

// hurry ends a follower's backoff.
func (f *follower) hurry() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// await calls done with each snapshot until it returns true.
func (f *follower) await(ctx context.Context, done func(*snapshot) (bool, error)) error {
	for {
		s, more := f.look()
		if s.ended != nil {
			return s.ended
		}
		if ok, err := done(s); ok || err != nil {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
