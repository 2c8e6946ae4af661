package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/flow"
)

// watcher reads the predictions as any client does. It detects a failing car by the predictions alone: an
// alarm in two of three successive readings.
type watcher struct {
	mu       sync.Mutex
	scored   int64
	first    time.Time            // of the first prediction
	versions map[int32]time.Time  // when the first prediction of each version appeared
	alarms   map[string][3]bool   // of the last three readings of each car
	detected map[string]time.Time // when each failing car was detected
	order    []string             // of the keys of detected
	healthy  func(car string, at int64) bool
	sound    int64 // number of predictions for healthy readings
	flagged  int64 // number of these with an alarm

	stop context.CancelFunc
	done sync.WaitGroup
	err  error
}

// startWatcher starts to follow car_scores at its end. It calls healthy for the statistics only.
func startWatcher(ctx context.Context, e *streamql.Engine, healthy func(string, int64) bool) (*watcher, error) {
	w := &watcher{versions: map[int32]time.Time{}, alarms: map[string][3]bool{}, detected: map[string]time.Time{},
		healthy: healthy}
	ctx, w.stop = context.WithCancel(ctx)
	rows, err := e.Query(ctx, "SELECT car, score, alarm, v, ROWTIME AS at FROM car_scores EMIT CHANGES;")
	if err != nil {
		w.stop()
		return nil, err
	}
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		for b, err := range rows.Batches() {
			if err != nil {
				if ctx.Err() == nil {
					w.mu.Lock()
					w.err = fmt.Errorf("cannot read the predictions: %w", err)
					w.mu.Unlock()
				}
				return
			}
			w.take(b, time.Now())
		}
	}()
	return w, nil
}

func (w *watcher) take(b *flow.Batch, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cars, alarms := b.Column(0).(*array.String), b.Column(2).(*array.Boolean)
	versions, times := b.Column(3).(*array.Int32), b.Column(4).(*array.Int64)
	for i := range b.Rows() {
		if b.Column(1).IsNull(i) || alarms.IsNull(i) || versions.IsNull(i) {
			continue // the row has no prediction
		}
		if w.scored == 0 {
			w.first = now
		}
		w.scored++
		if _, ok := w.versions[versions.Value(i)]; !ok {
			w.versions[versions.Value(i)] = now
		}
		car, alarm := cars.Value(i), alarms.Value(i)
		if w.healthy(car, times.Value(i)) {
			w.sound++
			if alarm {
				w.flagged++
			}
		}
		last := w.alarms[car]
		last = [3]bool{last[1], last[2], alarm}
		w.alarms[car] = last
		if _, known := w.detected[car]; !known && alarm && (last[0] || last[1]) {
			w.detected[car] = now
			w.order = append(w.order, car)
		}
	}
}

// found returns when a car was detected; zero: not yet.
func (w *watcher) found(car string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.detected[car]
}

// turned returns when the first prediction of a version appeared; zero: not yet.
func (w *watcher) turned(version int32) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.versions[version]
}

func (w *watcher) predictions() (n int64, first time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scored, w.first, w.err
}

func (w *watcher) end() {
	w.stop()
	w.done.Wait()
}
