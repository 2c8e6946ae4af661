package streamql

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
)

func (e *Engine) modelTopic(model string) string { return e.own("model." + topic.SafeName(model)) }

// newRegistry makes the registry of models' versions.
func (e *Engine) newRegistry() *models.Registry {
	c := models.Config{Broker: e.broker, Topic: e.modelTopic, Training: e.own(trainingTopic), NewID: rand.Text, Now: e.now, Version: Version}
	if e.warn != nil {
		c.Warn = func(err error) { e.warn(&Error{Code: code(err), Msg: err.Error(), Err: err}) }
	}
	return models.New(c)
}

// openModel makes the model's topic if need be and reads what it holds.
func (e *Engine) openModel(ctx context.Context, model string) error {
	if err := e.models.Create(ctx, model); err != nil {
		return err
	}
	e.models.Follow(model)
	return e.models.Sync(ctx, model)
}

// ready waits until the models that a plan predicts with have versions; nil: there is nothing to wait for.
func (e *Engine) ready(plan []planner.Stage) func(ctx context.Context, waiting func(why error)) error {
	list := planner.Awaited(plan)
	if len(list) == 0 {
		return nil
	}
	return func(ctx context.Context, waiting func(error)) error {
		for _, m := range list {
			if why := e.models.Waits(m.Model, m.Version); why != nil {
				waiting(fmt.Errorf("waiting: %w", why))
			}
			if err := e.models.Ready(ctx, m.Model, m.Version); err != nil {
				return err
			}
		}
		return nil
	}
}

// syncModels reads what the topics of models hold now; models that are gone do not matter.
func (e *Engine) syncModels(ctx context.Context, used map[string]bool) error {
	for m := range used {
		if _, ok := e.catalog.Model(m, true); !ok {
			continue
		}
		if err := e.models.Sync(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
