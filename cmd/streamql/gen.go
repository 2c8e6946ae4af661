package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/shell"
	"github.com/streamql/streamql/topic/generate"
)

type genCmd struct {
	Kind string            `arg:"" help:"The kind of rows; \"list\" lists the kinds with their options."`
	Rows int64             `placeholder:"N" help:"The number of rows; without it the rows do not end."`
	Seed uint64            `placeholder:"N" default:"1" help:"The same seed generates the same rows."`
	Rate float64           `placeholder:"N" help:"Rows per second; without it there is no limit."`
	To   string            `placeholder:"TOPIC" help:"Write JSON records into this topic of --dir or --brokers instead of stdout."`
	Set  map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"An option of this kind of rows; repeatable."`
}

// Help returns the text below the command's flags.
func (genCmd) Help() string {
	return `Examples:
  streamql gen cars --rows 3
  streamql gen fraud --rows 100000 --seed 7 > fraud.jsonl
  streamql gen cars --rows 201600 --to sensor-data --dir ./data
  streamql gen list`
}

// batchRows is the number of rows in a generated batch.
const batchRows = 1000

// Run generates the rows.
func (c *genCmd) Run(w *world) error {
	if c.Kind == "list" {
		return listKinds()
	}
	if c.To != "" && w.Dir == "" && w.Brokers == "" {
		return usage(errors.New("--to TOPIC needs --dir or --brokers: a topic in memory is lost when the command ends"))
	}
	if c.To != "" && c.Rows <= 0 {
		return usage(errors.New("--to TOPIC needs --rows, or it would fill the disk"))
	}
	src, err := generate.Open(generate.Config{Kind: c.Kind, Rows: c.Rows, Seed: c.Seed, Rate: c.Rate, Options: c.Set})
	if err != nil {
		return usage(suggestKind(c.Kind, err))
	}
	if c.To != "" {
		return c.fill(w, src)
	}
	return c.print(w, src)
}

func suggestKind(kind string, err error) error {
	var names []string
	for _, k := range generate.Kinds() {
		if k.Name == kind {
			return err
		}
		names = append(names, k.Name)
	}
	if near := lang.Suggest(kind, names); near != "" {
		return fmt.Errorf("there is no kind %q: did you mean %s?", kind, near)
	}
	return err
}

// print writes rows to stdout, as JSON lines by default.
func (c *genCmd) print(w *world, src *generate.Source) error {
	look := w.look()
	if w.Output == "auto" {
		look.Format = "jsonl"
	}
	rows := &streamql.Rows{Bounded: c.Rows > 0}
	for _, f := range src.Fields() {
		rows.Columns = append(rows.Columns, catalog.Column{Name: f.Name, Type: f.Type})
	}
	p, err := shell.NewPrinter(os.Stdout, rows, look)
	if err != nil {
		return err
	}
	schema := flow.NewSchema(src.Fields())
	err = made(w, c, src, func(b madeRows) error {
		return p.Print(&flow.Batch{Record: b.record, Schema: schema})
	})
	return errors.Join(err, p.Close())
}

// fill writes the rows as records of a topic, for streams declared with format='json' and the first column as
// KEY.
func (c *genCmd) fill(w *world, src *generate.Source) error {
	s, done, err := w.session(w.visitor()...)
	if err != nil {
		return err
	}
	out, err := newProducer(w.ctx, s.Engine, c.To, src.Fields(), 1)
	if err == nil {
		err = made(w, c, src, func(b madeRows) error { return out.write(w.ctx, b.record, b.times) })
	}
	if err == nil && !w.Quiet {
		fmt.Fprintf(os.Stderr, "wrote %d records to topic %s\n", out.n, c.To)
	}
	return errors.Join(err, done())
}

func listKinds() error {
	out := bufio.NewWriter(os.Stdout)
	for _, k := range generate.Kinds() {
		fmt.Fprintf(out, "%s\n    %s\n", k.Name, k.Doc)
		for _, o := range k.Options {
			fmt.Fprintf(out, "    --set %s=%s: %s\n", o.Name, o.Default, o.Doc)
		}
	}
	return out.Flush()
}
