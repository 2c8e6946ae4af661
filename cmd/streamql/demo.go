package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/shell"
)

// demoMemory is the garbage collector's memory limit in bytes. The demo promises to use less than 400 MB.
const demoMemory = 256 << 20

type demoCmd struct {
	Plain   bool   `help:"No colours, and no line is redrawn."`
	JSON    bool   `name:"json" help:"Print only one JSON object with the measurements on stdout."`
	Seconds int    `placeholder:"N" default:"30" help:"The duration of the live readings in seconds, at least 5."`
	Seed    uint64 `placeholder:"N" default:"314" help:"The seed for the readings and for the choice of the failing cars."`
	Keep    bool   `help:"Continue to run until Ctrl-C, and do not remove the directory."`
}

// Help returns the text below the command's flags.
func (demoCmd) Help() string {
	return `A fleet of 100 cars: 7 days of readings are written to a topic, an autoencoder learns the healthy ones, and scores the live
readings while two cars begin to fail. Everything happens in one process and a temporary directory, with no network.

Examples:
  streamql demo
  streamql demo --json --seconds 5`
}

// The size of the fleet and of its history.
const (
	demoCars     = 100
	demoReadings = 7 * 24 * 12 // per car: 7 days, one per 5 minutes
	demoStep     = 5 * time.Minute
)

// The statements, which are printed and run.
const (
	demoSource = `CREATE STREAM cars (car STRING KEY, coolant_temp DOUBLE, intake_air_temp DOUBLE, intake_air_flow_speed DOUBLE,
  battery_percentage DOUBLE, battery_voltage DOUBLE, current_draw DOUBLE, speed DOUBLE, engine_vibration_amplitude DOUBLE,
  throttle_pos DOUBLE, tire_pressure11 INT, tire_pressure12 INT, tire_pressure21 INT, tire_pressure22 INT,
  accelerometer11_value DOUBLE, accelerometer12_value DOUBLE, accelerometer21_value DOUBLE, accelerometer22_value DOUBLE,
  control_unit_firmware INT, failure_occurred STRING) WITH (topic='%s', format='json', partitions=4);`
	demoCount = `SELECT COUNT(*) AS n FROM cars SINCE 7 DAYS AGO UNTIL NOW;`
	demoModel = `CREATE MODEL engine TRANSFORM (* EXCEPT (car, failure_occurred))
  FROM (SELECT * FROM cars SINCE 7 DAYS AGO UNTIL NOW WHERE failure_occurred = 'false') TRAIN ONCE
  WITH (type='autoencoder', layers='14:tanh,7:relu,7:tanh,18:linear', epochs=10, batch_size=100, threshold='quantile:0.999', seed=%d);`
	demoScores = `CREATE STREAM car_scores WITH (topic='%s') AS
  SELECT car, ANOMALY_SCORE(engine, *) AS score, IS_ANOMALY(engine, *) AS alarm, MODEL_VERSION(engine) AS v FROM cars SINCE LATEST;`
	demoHealth = `CREATE TABLE car_health%s AS
  SELECT car, LATEST_BY_OFFSET(score) AS score, LATEST_BY_OFFSET(alarm) AS alarm, LATEST_BY_OFFSET(v) AS v FROM car_scores GROUP BY car;`
	demoHighest = `SELECT car, ROUND(score, 4) AS score, alarm, v FROM car_health ORDER BY score DESC LIMIT 6;`
	demoRetrain = `RETRAIN MODEL engine SINCE 1 DAY AGO UNTIL NOW;`
)

// drawCars selects the two cars that will fail.
func drawCars(seed uint64) [2]int {
	const stream = 11124
	r := rand.New(rand.NewPCG(seed, stream))
	a, b := r.IntN(demoCars), r.IntN(demoCars-1)
	if b >= a {
		b++
	}
	return [2]int{a, b}
}

// demo is one run of the demonstration.
type demo struct {
	*demoCmd
	w                     *world
	s                     *shell.Session
	dir                   string
	readings, predictions string    // topics
	tell                  io.Writer // receives the commentary
	paint                 bool
	begun                 time.Time
	summary               summary
	live                  *traffic
	watch                 *watcher
}

// Run runs the demonstration.
func (c *demoCmd) Run(w *world) (err error) {
	debug.SetMemoryLimit(demoMemory)
	if c.Seconds < 5 {
		return usage(errors.New("--seconds must be at least 5, so that a failure can begin and be detected"))
	}
	d := &demo{demoCmd: c, w: w, readings: "sensor-data", predictions: "model-predictions", tell: os.Stdout,
		paint: isTerminal(os.Stdout) && !c.Plain, begun: time.Now()}
	if c.JSON {
		d.tell = io.Discard
	}
	if d.dir, err = os.MkdirTemp("", "streamql-demo-"); err != nil {
		return err
	}
	if !c.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	done, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := d.play(w.ctx); err != nil {
		return err
	}
	if c.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(d.summary); err != nil {
			return err
		}
	}
	if c.Keep && w.Brokers != "" {
		fmt.Fprintf(os.Stderr, "models and jobs remain on the cluster; press Ctrl-C, then run: streamql --brokers %s --name %s --work\n", w.Brokers, w.Name)
		<-w.ctx.Done()
	} else if c.Keep {
		fmt.Fprintf(os.Stderr, "topics, models and jobs remain in %s; press Ctrl-C, then run: streamql --dir %s\n", d.dir,
			d.dir)
		<-w.ctx.Done()
	}
	return nil
}

func (d *demo) open() (done func() error, err error) {
	progress := shell.NewProgress(os.Stderr, isTerminal(os.Stderr) && !d.Plain, d.JSON)
	if d.w.Brokers != "" && d.w.Name == "streamql" { // a name of its own, separate from applications on the cluster
		d.w.Name = "streamql-demo-" + strings.ToLower(crand.Text()[:6])
	}
	cluster, err := d.w.cluster()
	if err != nil {
		return nil, err
	}
	roots, err := d.w.roots()
	if err != nil {
		return nil, err
	}
	e, err := streamql.Open(d.w.ctx, append(cluster, streamql.WithDir(d.dir), streamql.WithProgress(progress.Report),
		streamql.WithFiles(roots...),
		streamql.WithTotalMemory(d.w.bound()))...)
	if err != nil {
		return nil, err
	}
	look := d.w.look()
	look.Format, look.Color = "table", look.Color && d.paint
	d.s = &shell.Session{Engine: e, Out: d.tell, Err: d.tell, Look: look, Progress: progress}
	end := e.Close
	if d.w.Brokers != "" {
		if err := d.freeTopics(); err != nil {
			return nil, errors.Join(err, e.Close())
		}
		end = func() error { return errors.Join(d.leave(), e.Close()) }
	}
	return d.w.listen(e, end)
}

// play runs the demonstration from the history to the second version of the model.
func (d *demo) play(ctx context.Context) error {
	if err := d.history(ctx); err != nil {
		return err
	}
	if err := d.train(ctx); err != nil {
		return err
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	err := d.drive(ctx)
	if end := d.live.end(); err == nil {
		err = end
	}
	if err == nil {
		err = d.settle(ctx)
	}
	d.watch.end()
	if err != nil {
		return err
	}
	return d.conclude(ctx)
}

// history writes 7 days of readings and counts them.
func (d *demo) history(ctx context.Context) error {
	if err := d.run(ctx, fmt.Sprintf(demoSource, d.readings)); err != nil {
		return err
	}
	begun := time.Now()
	n, err := d.writeHistory(ctx, begun)
	if err != nil {
		return err
	}
	d.summary.HistoryRows = n
	d.summary.WriteSeconds = since(begun)
	d.note("wrote %d readings of %d cars to topic %s in %.1f s", n, demoCars, d.readings, since(begun))
	begun = time.Now()
	if err := d.run(ctx, demoCount); err != nil {
		return err
	}
	d.summary.ScanRows = round(float64(n)/time.Since(begun).Seconds(), 0)
	d.note("%.0f rows/s", d.summary.ScanRows)
	return nil
}

// train trains version 1 and creates the relations of its predictions.
func (d *demo) train(ctx context.Context) error {
	begun := time.Now()
	if err := d.run(ctx, fmt.Sprintf(demoModel, d.Seed)); err != nil {
		return err
	}
	d.summary.TrainSeconds = since(begun)
	if err := d.version(ctx, 1); err != nil {
		return err
	}
	if err := d.run(ctx, fmt.Sprintf(demoScores, d.predictions)); err != nil {
		return err
	}
	with := ""
	if d.w.Brokers != "" { // so that the topic is removed at the end
		with = fmt.Sprintf(" WITH (topic='%s.car_health')", d.w.Name)
	}
	return d.run(ctx, fmt.Sprintf(demoHealth, with))
}

// run prints a statement and runs it.
func (d *demo) run(ctx context.Context, text string) error {
	prompt := "streamql> "
	if d.paint && d.s.Look.Color {
		prompt = "\x1b[1;34m" + prompt + "\x1b[0m"
	}
	fmt.Fprintf(d.tell, "\n%s%s\n", prompt, text)
	return d.s.Script(ctx, "demo", text)
}

// note prints a line of commentary.
func (d *demo) note(text string, args ...any) { fmt.Fprintf(d.tell, text+"\n", args...) }

func since(t time.Time) float64 { return round(time.Since(t).Seconds(), 3) }
