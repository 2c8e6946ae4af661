// Package generate generates rows by rule: a topic of one partition whose offset is the row's
// number, from 0. The same kind, seed and options always produce the same rows, and any row can
// be computed by itself, so a generator is replayed and resumed like any topic.
package generate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic"
)

// Config configures a generator. All fields except Kind have useful zero values.
type Config struct {
	Kind    string
	Fields  []arrow.Field // the declared columns, any of the kind's in any order; nil: all of them
	Rows    int64         // 0: endless
	Seed    uint64
	Start   flow.Time         // event time of row 0
	Step    time.Duration     // event time between rows (cars: between two readings of a car); 0 is 1 ms
	Rate    float64           // rows per second of real time; 0: as fast as they are read
	Options map[string]string // options of the kind, by name

	// cars: whether a car is failing; nil: the share in Options, in episodes
	Failing func(car int, at flow.Time) bool

	Now  func() time.Time                           // nil: the real clock
	Wait func(context.Context, time.Duration) error // nil: real time
}

// Kind is one rule for rows.
type Kind struct {
	Name    string
	Doc     string
	Options []option.Option
	open    func(*setup) (maker, error)
}

// maker makes rows. Implementations are one file each.
type maker interface {
	// fields returns the columns that it generates, in order.
	fields() []arrow.Field
	// columns generates n rows starting at row, one column for each index in want. Several
	// goroutines may call it concurrently.
	columns(row int64, n int, want []int) []arrow.Array
}

// grouped is a maker with several rows per event time.
type grouped interface{ together() int64 }

var kinds = map[string]Kind{}

func builtin(k Kind) bool {
	kinds[k.Name] = k
	return true
}

// Kinds returns the kinds by name.
func Kinds() []Kind {
	list := make([]Kind, 0, len(kinds))
	for _, k := range kinds {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b Kind) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Source is an opened generator. It is safe for concurrent use.
type Source struct {
	config Config
	maker  maker
	schema *arrow.Schema
	want   []int
	per    int64 // rows that share an event time
	opened time.Time
}

// Open checks the configuration. Errors: an unknown kind, option or column, a column declared
// with another type, a value out of range.
func Open(c Config) (*Source, error) {
	name := strings.ToLower(strings.TrimSpace(c.Kind))
	kind, ok := kinds[name]
	if !ok {
		var names []string
		for _, k := range Kinds() {
			names = append(names, k.Name)
		}
		return nil, fmt.Errorf("unknown generator kind %q; known are %s", c.Kind, strings.Join(names, ", "))
	}
	if c.Step == 0 {
		c.Step = time.Millisecond
	}
	switch {
	case c.Rows < 0:
		return nil, fmt.Errorf("generator %s: rows is %d, it cannot be negative", name, c.Rows)
	case c.Step < time.Millisecond || c.Step%time.Millisecond != 0:
		return nil, fmt.Errorf("generator %s: step is %s, it must be whole milliseconds", name, c.Step)
	case !(c.Rate >= 0 && c.Rate <= 1e12):
		return nil, fmt.Errorf("generator %s: rate is %v, it must be from 0 to 10^12 rows a second", name, c.Rate)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == nil {
		c.Wait = wait
	}
	set, err := newSetup(c, kind)
	var m maker
	if err == nil {
		m, err = kind.open(set)
	}
	if err != nil {
		return nil, fmt.Errorf("generator %s: %w", name, err)
	}
	s := &Source{config: c, maker: m, per: 1, opened: c.Now()}
	if g, ok := m.(grouped); ok {
		s.per = g.together()
	}
	return s, s.declare(name)
}

// declare finds the declared columns among those of the maker: by exact name, else ignoring
// case.
func (s *Source) declare(kind string) error {
	made := s.maker.fields()
	declared := s.config.Fields
	if declared == nil {
		declared = made
	}
	for _, f := range declared {
		at := slices.IndexFunc(made, func(m arrow.Field) bool { return m.Name == f.Name })
		if at < 0 {
			at = slices.IndexFunc(made, func(m arrow.Field) bool { return strings.EqualFold(m.Name, f.Name) })
		}
		if at < 0 {
			var names []string
			for _, m := range made {
				names = append(names, m.Name)
			}
			return fmt.Errorf("generator %s has no column %s; it has %s", kind, f.Name, strings.Join(names, ", "))
		}
		if !flow.SameType(f.Type, made[at].Type) {
			return fmt.Errorf(
				"generator %s generates column %s as %s, not %s",
				kind,
				f.Name,
				flow.TypeName(made[at].Type),
				flow.TypeName(f.Type),
			)
		}
		s.want = append(s.want, at)
	}
	s.schema = arrow.NewSchema(declared, nil)
	return nil
}

// Fields returns the columns of the rows: the declared ones, or all of the kind.
func (s *Source) Fields() []arrow.Field { return s.schema.Fields() }

// Make returns n rows starting at row, independent of Rows, with their event times.
func (s *Source) Make(row int64, n int) (arrow.Record, []int64) {
	times := make([]int64, n)
	for i := range times {
		times[i] = s.time(row + int64(i))
	}
	return array.NewRecord(s.schema, s.maker.columns(row, n, s.want), int64(n)), times
}

func (s *Source) time(row int64) int64 {
	return int64(s.config.Start) + row/s.per*s.config.Step.Milliseconds()
}

// wait pauses for d of real time.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

var _ topic.Timed = (*Source)(nil)
