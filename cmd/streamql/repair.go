package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/exec"
)

type repairCmd struct {
	Skip      []int64  `placeholder:"OFFSET" help:"Skip the entry at this offset of the catalog log. Its name can then be defined again."`
	Changelog []string `placeholder:"JOB" help:"Restart this job, which failed with SQ7302, and skip the damaged records of its changelog."`
}

// Help returns the text below the command's flags.
func (repairCmd) Help() string {
	return `Examples:
  streamql repair --dir ./data
  streamql repair --brokers localhost:9092 --name orders
  streamql repair --brokers localhost:9092 --name orders --skip 17 --skip 18
  streamql repair --brokers localhost:9092 --name orders --changelog CTAS_totals_3

Without --skip and --changelog it changes nothing. It never edits or deletes anything: skipped entries are recorded in the catalog, for all
processes of the application. A newer version can still read an entry that it wrote; skip damaged entries only.`
}

// Run lists the damaged entries and changelogs, and skips the ones that the flags name.
func (c *repairCmd) Run(w *world) (err error) {
	if w.Dir == "" && w.Brokers == "" {
		return usage(errors.New("repair requires --dir or --brokers: without them nothing is stored"))
	}
	if w.Dir != "" {
		if info, err := os.Stat(w.Dir); err != nil || !info.IsDir() {
			return usage(fmt.Errorf("directory %s does not exist", w.Dir))
		}
	}
	s, done, err := w.session(streamql.WithoutJobs())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	e := s.Engine
	if len(c.Skip) > 0 {
		if err := e.GiveUp(w.ctx, c.Skip...); err != nil {
			return err
		}
	}
	for _, job := range c.Changelog {
		if err := e.SkipDamaged(w.ctx, job); err != nil {
			return err
		}
	}
	return c.list(w, e)
}

// list prints the damaged entries and changelogs, each with its cure.
func (c *repairCmd) list(w *world, e *streamql.Engine) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	n := 0
	row := func(what, name, why, cure string) {
		if n++; n == 1 {
			fmt.Fprintln(out, "damaged\tname\twhy\tcure")
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", what, name, why, cure)
	}
	for _, b := range e.Catalog().Broken() {
		row(fmt.Sprintf("catalog entry %d", b.Offset), b.Kind+" "+b.Name, b.Reason,
			fmt.Sprintf("run the version that wrote it, or --skip %d", b.Offset))
	}
	for _, j := range e.Jobs(w.ctx) {
		if j.State != exec.Failed || j.Failure == nil {
			continue
		}
		cure := j.Failure.Cure
		if j.Failure.Code == "SQ7302" {
			cure = "run the version that wrote it, --changelog " + j.Name + ", or TERMINATE"
		}
		row("job", j.Name, j.Failure.Code+": "+j.Failure.Cause, cure)
	}
	if n == 0 && !w.Quiet {
		fmt.Fprintln(os.Stderr, "no damage found")
	}
	return out.Flush()
}
