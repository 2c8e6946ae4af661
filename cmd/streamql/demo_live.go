package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/generate"
)

// writeHistory writes the readings of 7 days, which end now. It omits the first 5 minutes.
func (d *demo) writeHistory(ctx context.Context, now time.Time) (int64, error) {
	start := flow.Time(now.Add(-(demoReadings - 1) * demoStep).UnixMilli())
	src, err := generate.Open(generate.Config{Kind: "cars", Seed: d.Seed, Start: start, Step: demoStep})
	if err != nil {
		return 0, err
	}
	out, err := newProducer(ctx, d.s.Engine, d.readings, src.Fields(), 4)
	if err != nil {
		return 0, err
	}
	const all, chunk = demoCars * demoReadings, 4200
	for row := int64(0); row < all; row += chunk {
		record, times := src.Make(row, chunk)
		if err := out.write(ctx, record, times); err != nil {
			return out.n, err
		}
	}
	return out.n, nil
}

// traffic generates the live readings: one per car and second. Their event time is the present time.
type traffic struct {
	d       *demo
	out     *producer
	src     *generate.Source
	start   time.Time // of the first reading
	cars    [2]int
	begins  [2]time.Time // when each failure begins
	poison  atomic.Bool  // requests two undecodable records
	spoiled atomic.Int64 // number of undecodable records written
	stop    context.CancelFunc
	done    sync.WaitGroup
	err     error
}

// liveBatch is the number of readings in one write. There are ten writes per second.
const liveBatch = 10

// startTraffic starts to write readings. They continue the history: the same cars at later times.
func (d *demo) startTraffic(ctx context.Context) (*traffic, error) {
	t := &traffic{d: d, start: time.Now(), cars: drawCars(d.Seed)}
	third := time.Duration(d.Seconds) * time.Second / 3
	t.begins = [2]time.Time{t.start.Add(third), t.start.Add(2 * third)}
	first := flow.Time(t.start.Add(-demoReadings * time.Second).UnixMilli())
	var err error
	t.src, err = generate.Open(generate.Config{Kind: "cars", Seed: d.Seed, Start: first, Step: time.Second,
		Failing: t.failing})
	if err != nil {
		return nil, err
	}
	if t.out, err = newProducer(ctx, d.s.Engine, d.readings, t.src.Fields(), 4); err != nil {
		return nil, err
	}
	ctx, t.stop = context.WithCancel(ctx)
	t.done.Add(1)
	go func() {
		defer t.done.Done()
		t.err = t.write(ctx)
	}()
	return t, nil
}

func (t *traffic) failing(car int, at flow.Time) bool {
	for i, c := range t.cars {
		if c == car && int64(at) >= t.begins[i].UnixMilli() {
			return true
		}
	}
	return false
}

func (t *traffic) write(ctx context.Context) error {
	tick := time.NewTicker(time.Second * liveBatch / demoCars)
	defer tick.Stop()
	for n := int64(0); ; {
		due := int64(time.Since(t.start).Seconds() * demoCars)
		for ; n+liveBatch <= due; n += liveBatch {
			record, times := t.src.Make(demoCars*demoReadings+n, liveBatch)
			var raw []topic.Record
			if t.poison.CompareAndSwap(true, false) {
				for _, v := range []string{`{"coolant_temp": 96.1, "intake_air_temp":`, "\x00\x00\x00\x00\x07 this is not JSON"} {
					raw = append(raw, topic.Record{Key: []byte(`"car-0000"`), Value: []byte(v), Time: times[0]})
				}
			}
			// A batch is written completely once it has begun, because rows are counted by commits.
			if err := t.out.write(context.WithoutCancel(ctx), record, times, raw...); err != nil {
				return fmt.Errorf("live readings: %w", err)
			}
			t.spoiled.Add(int64(len(raw)))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// end stops the readings.
func (t *traffic) end() error {
	t.stop()
	t.done.Wait()
	return t.err
}

// written returns the number of records written. It is valid after end.
func (t *traffic) written() int64 { return t.out.n + t.spoiled.Load() }

func carName(car int) string { return fmt.Sprintf("car-%04d", car) }
