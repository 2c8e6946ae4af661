package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/streamql/streamql/topic"
)

// freeTopics selects names for the demo's topics that do not exist on the cluster. Existing topics may
// contain data of others.
func (d *demo) freeTopics() error {
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf("-%d", n)
		}
		free := true
		for _, name := range []string{"sensor-data" + suffix, "model-predictions" + suffix} {
			_, err := d.s.Engine.Broker().Describe(d.w.ctx, name)
			if err != nil && !errors.Is(err, topic.ErrUnknownTopic) {
				return err
			}
			free = free && err != nil
		}
		if free {
			d.readings, d.predictions = "sensor-data"+suffix, "model-predictions"+suffix
			return nil
		}
	}
}

// leave ends the demo's jobs and removes its internal topics. The topics of readings and predictions stay for
// other clients.
func (d *demo) leave() error {
	if !d.JSON {
		fmt.Fprintf(os.Stderr, "topics %s and %s stay on the cluster; any Kafka client can read them\n", d.readings,
			d.predictions)
	}
	if d.Keep {
		return nil
	}
	ctx := context.WithoutCancel(d.w.ctx)
	d.s.Quiet = true
	err := d.s.Engine.Exec(ctx, "TERMINATE ALL;")
	admin := d.s.Engine.Broker().(topic.Admin)
	topics, terr := admin.Topics(ctx)
	err = errors.Join(err, terr)
	for _, t := range topics {
		if !strings.HasPrefix(t.Name, d.w.Name+".") {
			continue
		}
		// the engine also removes the topics of jobs that have ended
		if gone := admin.Delete(ctx, t.Name); !errors.Is(gone, topic.ErrUnknownTopic) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
