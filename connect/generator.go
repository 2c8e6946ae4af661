package connect

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic/generate"
)

var _ = builtin(Connector{
	Name: "generator",
	Doc:  "Generated rows in one partition. The same options always produce the same rows.",
	Options: []option.Option{
		{Name: "kind", Type: option.Word, Words: kinds(), Needed: true, Doc: "the kind of rows: " + strings.Join(kinds(), ", ")},
		{Name: "rows", Type: option.Int, Default: "0", Max: math.Inf(1), Doc: "the number of rows; 0: without end"},
		{Name: "seed", Type: option.Uint, Default: "1", Doc: "the seed of the random numbers"},
		{Name: "rate", Type: option.Float, Default: "0", Max: 1e12,
			Doc: "rows per second of real time; 0: no limit"},
		{Name: "start", Type: option.Time, Default: "1970-01-01", Doc: "the event time of the first row"},
		{Name: "step", Type: option.Duration, Default: "1", Min: 1, Doc: "the event time between consecutive rows"},
	},
	More:  kindOptions,
	Shape: Columns, Replays: true, Infers: true,
	Open: openGenerator,
	Examples: []Example{{
		SQL: `CREATE STREAM fleet WITH (connector='generator', kind='cars', cars=2, rows=4, step='1 MINUTE');
SELECT car, ROWTIME FROM fleet;`,
		Want: "car-0000,0\ncar-0001,0\ncar-0000,60000\ncar-0001,60000",
	}},
})

// kinds returns the names of the kinds of generators.
func kinds() (names []string) {
	for _, k := range generate.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// kindOptions returns the options of the kind that given names, or of all kinds if given is nil.
func kindOptions(given map[string]string) (out []option.Option) {
	for _, k := range generate.Kinds() {
		if given != nil && !strings.EqualFold(strings.TrimSpace(given["kind"]), k.Name) {
			continue
		}
		for _, o := range k.Options {
			if !slices.ContainsFunc(out, func(x option.Option) bool { return x.Name == o.Name }) {
				out = append(out, o)
			}
		}
	}
	return out
}

// openGenerator opens a generator. An error in its values has code SQ5002.
func openGenerator(_ context.Context, r Request) (Opened, error) {
	o := r.Options
	c := generate.Config{Kind: o.Text("kind"), Rows: o.Int("rows"), Seed: o.Uint("seed"), Rate: o.Float("rate"),
		Start: flow.Time(o.Time("start").UnixMilli()), Step: o.Duration("step"), Fields: r.Fields, Now: r.Now,
		Options: map[string]string{}}
	for _, k := range kindOptions(map[string]string{"kind": c.Kind}) {
		if text, given := o.Written(k.Name); given {
			c.Options[k.Name] = text
		}
	}
	src, err := generate.Open(c)
	if err != nil {
		return Opened{}, &lang.Error{Code: "SQ5002", Stage: lang.StagePlan, Msg: err.Error(), Err: err}
	}
	return Opened{Source: src, Partitions: 1, Columns: func() ([]arrow.Field, error) { return src.Fields(), nil }}, nil
}
