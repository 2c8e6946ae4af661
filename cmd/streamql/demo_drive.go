package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// begin starts the live readings and waits for the first prediction.
func (d *demo) begin(ctx context.Context) (err error) {
	healthy := func(car string, at int64) bool {
		for i, c := range d.live.cars {
			if carName(c) == car {
				return at < d.live.begins[i].UnixMilli()
			}
		}
		return true
	}
	if d.watch, err = startWatcher(ctx, d.s.Engine, healthy); err != nil {
		return err
	}
	d.watch.mu.Lock() // healthy reads d.live
	d.live, err = d.startTraffic(ctx)
	d.watch.mu.Unlock()
	if err != nil {
		d.watch.end()
		return err
	}
	err = d.await(ctx, 10*time.Second, "the first prediction",
		func() bool { n, _, _ := d.watch.predictions(); return n > 0 })
	if err != nil {
		d.watch.end()
		_ = d.live.end()
		return err
	}
	_, first, _ := d.watch.predictions()
	d.summary.FirstPrediction = round(first.Sub(d.begun).Seconds(), 3)
	d.note("\n%d readings per second arrive; the first prediction appeared %.1f s after the start", demoCars,
		d.summary.FirstPrediction)
	return nil
}

// drive waits while live readings arrive, prints the highest scores and retrains at the end.
func (d *demo) drive(ctx context.Context) error {
	end := d.live.start.Add(time.Duration(d.Seconds) * time.Second)
	half := d.live.start.Add(time.Duration(d.Seconds) * time.Second / 2)
	told := map[int]bool{}
	spoiled := false
	shown := time.Now()
	for time.Now().Before(end) || !d.allFound() {
		if time.Now().After(end.Add(10 * time.Second)) {
			return failedWork("the two failing cars were not both detected within %d s and 10 s of grace", d.Seconds)
		}
		if err := d.pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		for i, c := range d.live.cars {
			begins := d.live.begins[i]
			if !told[i] && time.Now().After(begins) {
				told[i] = true
				d.note("%5.1f s  %s begins to fail: its vibration is 150 times its speed instead of 100",
					time.Since(d.begun).Seconds(), carName(c))
			}
			if at := d.watch.found(carName(c)); told[i] && !told[i+2] && !at.IsZero() {
				told[i+2] = true
				d.note("%5.1f s  %s is detected, %.1f s after its failure began", at.Sub(d.begun).Seconds(), carName(c),
					at.Sub(begins).Seconds())
			}
		}
		if !spoiled && time.Now().After(half) {
			spoiled = true
			d.live.poison.Store(true)
			d.note("%5.1f s  two records arrive that are not JSON", time.Since(d.begun).Seconds())
		}
		if time.Since(shown) >= 2*time.Second {
			shown = time.Now()
			if err := d.highest(ctx); err != nil {
				return err
			}
		}
	}
	return d.retrain(ctx)
}

func (d *demo) allFound() bool {
	return !d.watch.found(carName(d.live.cars[0])).IsZero() && !d.watch.found(carName(d.live.cars[1])).IsZero()
}

// highest prints the six highest scores of the table.
func (d *demo) highest(ctx context.Context) error {
	letters, err := d.letters(ctx)
	if err != nil {
		return err
	}
	n, _, _ := d.watch.predictions()
	fmt.Fprintf(d.tell, "\n%s\n", demoHighest)
	if err := d.quietly(ctx, demoHighest); err != nil {
		return err
	}
	d.note("%d predictions · %d readings per second · dead letters %d", n, demoCars, letters)
	return nil
}

func (d *demo) quietly(ctx context.Context, text string) error {
	d.s.Quiet = true
	defer func() { d.s.Quiet = false }()
	return d.s.Script(ctx, "demo", text)
}

// retrain trains version 2 while predictions continue, and waits until a prediction uses it.
func (d *demo) retrain(ctx context.Context) error {
	if err := d.run(ctx, demoRetrain); err != nil {
		return err
	}
	ready := time.Now()
	if err := d.version(ctx, 2); err != nil {
		return err
	}
	if err := d.await(ctx, 5*time.Second, "a prediction of version 2",
		func() bool { return !d.watch.turned(2).IsZero() }); err != nil {
		return err
	}
	d.summary.Swap = round(max(0, d.watch.turned(2).Sub(ready).Seconds()*1000), 1)
	d.note("v 1 → 2: the first prediction of the new version appeared %.0f ms after the end of the training",
		d.summary.Swap)
	// A few more predictions of the new version show that the job continues.
	return d.pause(ctx, 500*time.Millisecond)
}

// version reads the attributes of a version from streamql.models.
func (d *demo) version(ctx context.Context, n int) error {
	rows, err := d.values(ctx, fmt.Sprintf("SELECT rows, threshold FROM streamql.models WHERE model = 'engine' AND version = %d;", n))
	if err != nil || len(rows) != 1 {
		return errorsOr(err, failedWork("version %d of the model does not exist", n))
	}
	if n == 1 {
		d.summary.TrainedRows = rows[0][0].(int64)
		d.summary.Threshold, _ = rows[0][1].(float64)
	}
	d.summary.Versions = n
	return nil
}

// letters counts the dead letters of the job of car_scores.
func (d *demo) letters(ctx context.Context) (int64, error) {
	rows, err := d.values(ctx, "SELECT job FROM streamql.errors WHERE source = 'cars';")
	n := int64(0)
	for _, r := range rows {
		if job, ok := r[0].(string); ok && strings.HasPrefix(job, "CSAS_car_scores") {
			n++
		}
	}
	return n, err
}

// settle waits until every record has become a prediction or a dead letter.
func (d *demo) settle(ctx context.Context) error {
	return d.await(ctx, 5*time.Second, "the last predictions", func() bool {
		n, _, _ := d.watch.predictions()
		letters, err := d.letters(ctx)
		return err == nil && n+letters >= d.live.written()
	})
}

// await polls until ok returns true, or fails after a time limit.
func (d *demo) await(ctx context.Context, most time.Duration, what string, ok func() bool) error {
	for deadline := time.Now().Add(most); !ok(); {
		if time.Now().After(deadline) {
			if _, err := d.s.Jobs(ctx); err != nil {
				return err
			}
			return failedWork("%s did not appear within %v", what, most)
		}
		if err := d.pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) pause(ctx context.Context, t time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t):
	}
	_, _, err := d.watch.predictions()
	return err
}

// values returns all rows of a query.
func (d *demo) values(ctx context.Context, text string) (out [][]any, err error) {
	rows, err := d.s.Engine.Query(ctx, text)
	if err != nil {
		return nil, err
	}
	for b, err := range rows.Batches() {
		if err != nil {
			return nil, err
		}
		for i := range b.Rows() {
			var row []any
			for _, c := range b.Columns() {
				row = append(row, flow.Value(c, i))
			}
			out = append(out, row)
		}
	}
	return out, nil
}

func (d *demo) detected() []string {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return slices.Clone(d.watch.order)
}

func failedWork(text string, args ...any) error {
	return &streamql.Error{Code: "SQ4000", Stage: lang.StageRun, Msg: fmt.Sprintf(text, args...)}
}

func errorsOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
