package generate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/topic"
)

func open(t testing.TB, c Config) *Source {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func span(from, to topic.Offset) []topic.Span {
	return []topic.Span{{Partition: topic.Partition{Topic: "t"}, From: from, To: to}}
}

// text returns rows [from, to) of a fetch's columns and times as text.
func text(r arrow.Record, times []int64) (rows []string) {
	for i := range int(r.NumRows()) {
		line := fmt.Sprint(times[i])
		for _, c := range r.Columns() {
			line += fmt.Sprintf(" %v", flow.Value(c, i))
		}
		rows = append(rows, line)
	}
	return rows
}

// every returns a configuration of each kind.
func every() map[string]Config {
	nested := flow.Struct(
		flow.Field("a", flow.Array(flow.Int)),
		flow.Field("m", flow.Map(flow.String, flow.Decimal(6, 2))),
	)
	return map[string]Config{
		"cars":   {Kind: "cars", Options: map[string]string{"cars": "7"}},
		"fraud":  {Kind: "fraud"},
		"digits": {Kind: "digits"},
		"sea":    {Kind: "moa.sea"},
		"random": {
			Kind:    "random",
			Options: map[string]string{"NULLS": "0.3"},
			Fields: []arrow.Field{flow.Field("a", flow.Boolean),
				flow.Field(
					"b",
					flow.Bigint,
				), flow.Field("c", flow.Float), flow.Field("d", flow.Bytes), flow.Field("e", flow.Date),
				flow.Field(
					"f",
					flow.TimeOfDay,
				), flow.Field("g", flow.Timestamp), flow.Field("h", nested), flow.Field("i", flow.String)},
		},
	}
}

// TestEveryRowAlone: rows do not depend on how they are fetched and where reading begins; they
// depend on the seed.
func TestEveryRowAlone(t *testing.T) {
	if len(every()) != len(Kinds()) {
		t.Fatalf("%d kinds are tested, there are %d", len(every()), len(Kinds()))
	}
	for name, c := range every() {
		t.Run(name, func(t *testing.T) {
			c.Rows = 500
			s := open(t, c)
			whole := text(s.Make(0, 500))
			again := open(t, c)
			for _, from := range []int64{0, 1, 6, 7, 123, 499} {
				if got := text(again.Make(from, 1)); got[0] != whole[from] {
					t.Fatalf("row %d alone is %.200s, was %.200s", from, got[0], whole[from])
				}
			}
			c.Seed = 2
			if same := text(open(t, c).Make(0, 500)); strings.Join(same[:20], "") == strings.Join(whole[:20], "") {
				t.Error("another seed gives the same rows")
			}
			differ := map[string]bool{}
			for _, row := range whole {
				differ[row[strings.IndexByte(row, ' '):]] = true
			}
			if len(differ) < 450 {
				t.Errorf("only %d of 500 rows differ", len(differ))
			}
		})
	}
}

func TestReadWholeAndSpans(t *testing.T) {
	s := open(t, Config{Kind: "fraud", Rows: 10_000, Start: 1000, Step: 2 * time.Millisecond})
	d, err := s.Describe(context.Background(), "t")
	if err != nil || fmt.Sprint(d.Partitions) != "[t[0]]" || d.Partitions[0].To != 10_000 {
		t.Fatal(d, err)
	}
	r, err := s.Open(context.Background(), span(5, 9_000))
	if err != nil {
		t.Fatal(err)
	}
	next := topic.Offset(5)
	for {
		f, err := r.Poll(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if f[0].From != next || f[0].Rows() != int(f[0].Next-next) || f[0].Offsets[0] != next ||
			f[0].Times[0] != 1000+2*int64(next) {
			t.Fatalf("fetch [%d, %d), first offset %d at %d", f[0].From, f[0].Next, f[0].Offsets[0], f[0].Times[0])
		}
		next = f[0].Next
	}
	if next != 9_000 {
		t.Error(next)
	}
}

func TestOffsetAt(t *testing.T) {
	s := open(t, Config{Kind: "cars", Rows: 1000, Start: 60_000, Step: time.Second})
	for _, c := range []struct {
		ms   int64
		want topic.Offset
	}{{0, 0}, {60_000, 0}, {60_001, 100}, {61_000, 100}, {61_001, 200}, {1 << 60, 1000}} {
		if got, err := s.OffsetAt(context.Background(), topic.Partition{}, c.ms); err != nil || got != c.want {
			t.Errorf("%d: %d, %v, want %d", c.ms, got, err, c.want)
		}
	}
}

// TestRate: rows arrive when they are due by the clock, and not before.
func TestRate(t *testing.T) {
	now := time.Unix(100, 0)
	waited := 0
	s := open(t, Config{Kind: "fraud", Rows: 25, Rate: 10, Now: func() time.Time { return now },
		Wait: func(_ context.Context, d time.Duration) error { waited++; now = now.Add(d); return nil }})
	r, err := s.Open(context.Background(), span(20, 25))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		f, err := r.Poll(context.Background())
		if err != nil || f[0].Rows() != 1 || f[0].From != topic.Offset(20+i) {
			t.Fatal(f, err)
		}
		if at := now.Sub(time.Unix(100, 0)).Seconds(); at < float64(i+1)/10-1e-6 || at > float64(i+1)/10+1e-3 {
			t.Fatalf("row %d came after %v s", i, at)
		}
	}
	if _, err := r.Poll(context.Background()); err != io.EOF || waited < 5 {
		t.Error(err, waited)
	}
	now = now.Add(time.Second)
	if d, _ := s.Describe(context.Background(), "t"); d.Partitions[0].To != 15 {
		t.Error("due after 1.5 s:", d.Partitions[0].To)
	}
}

func TestLiveWaitsBehindTheLastRow(t *testing.T) {
	s := open(t, Config{Kind: "fraud", Rows: 3})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := s.Open(ctx, span(0, topic.End))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := r.Poll(ctx); err != nil || f[0].Rows() != 3 {
		t.Fatal(f, err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := r.Poll(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestDeclaredColumns(t *testing.T) {
	s := open(
		t,
		Config{
			Kind: "cars",
			Fields: []arrow.Field{
				flow.Field("FAILURE_OCCURRED", flow.String),
				flow.Field("Speed", flow.Double),
				flow.Field("car", flow.String),
			},
		},
	)
	r, _ := s.Make(117, 1)
	if r.ColumnName(0) != "FAILURE_OCCURRED" || r.ColumnName(1) != "Speed" ||
		flow.Value(r.Column(2), 0) != "car-0017" {
		t.Error(r)
	}
}

func TestErrors(t *testing.T) {
	cases := []struct {
		config Config
		want   string
	}{
		{Config{Kind: "boats"}, `unknown generator kind "boats"; known are cars, digits`},
		{Config{Kind: "cars", Rows: -1}, "rows is -1"},
		{Config{Kind: "cars", Step: time.Microsecond}, "whole milliseconds"},
		{Config{Kind: "cars", Rate: -1}, "rate is -1"},
		{Config{Kind: "cars", Options: map[string]string{"wheels": "4"}}, "no option wheels; it has cars, episode, failing"},
		{Config{Kind: "cars", Options: map[string]string{"cars": "0"}}, `option cars is a whole number from 1 to 1000000, not "0"`},
		{Config{Kind: "cars", Options: map[string]string{"failing": "NaN"}}, "from 0 to 1"},
		{
			Config{Kind: "cars", Fields: []arrow.Field{flow.Field("wings", flow.Int)}},
			"has no column wings; it has car, coolant_temp",
		},
		{
			Config{Kind: "cars", Fields: []arrow.Field{flow.Field("speed", flow.Int)}},
			"column speed as DOUBLE, not INTEGER",
		},
		{Config{Kind: "random"}, "needs declared columns"},
		{
			Config{Kind: "random", Fields: []arrow.Field{flow.Field("m", flow.Map(flow.Int, flow.Int))}},
			"MAP<INTEGER, INTEGER>, which the generator does not support",
		},
	}
	for _, c := range cases {
		if _, err := Open(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not say %q", err, c.want)
		}
	}
	s := open(t, Config{Kind: "cars", Rows: 10})
	if _, err := s.Open(context.Background(), []topic.Span{{Partition: topic.Partition{ID: 1}}}); !errors.Is(
		err,
		topic.ErrUnknownTopic,
	) {
		t.Error(err)
	}
	var gap topic.ErrGap
	if _, err := s.Open(context.Background(), span(0, 11)); !errors.As(err, &gap) {
		t.Error(err)
	}
}

// TestSEAIsMOAs compares the digest of 100,000 rows with that of MOA's own rows.
func TestSEAIsMOAs(t *testing.T) {
	s := open(t, Config{Kind: "moa.sea", Seed: 1})
	h := sha256.New()
	for row := int64(0); row < 100_000; row += 1000 {
		r, _ := s.Make(row, 1000)
		for i := range 1000 {
			var b []byte
			for k := range 3 {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.Column(k).(*array.Float64).Value(i)))
			}
			class := map[any]float64{"groupA": 0, "groupB": 1}[flow.Value(r.Column(3), i)]
			h.Write(binary.LittleEndian.AppendUint64(b, math.Float64bits(class)))
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != "dff1cc616837347c" {
		t.Error(got)
	}
}

func TestFraudHasStructure(t *testing.T) {
	r, _ := open(t, Config{Kind: "fraud", Options: map[string]string{"share": "0.1"}}).Make(0, 20_000)
	count := map[bool][3]float64{}
	for i := range 20_000 {
		bad := flow.Value(r.Column(6), i) == "true"
		c := count[bad]
		c[0]++
		if r.Column(1).(*array.Float64).Value(i) > 100 {
			c[1]++
		}
		if flow.Value(r.Column(4), i) != flow.Value(r.Column(5), i) {
			c[2]++
		}
		count[bad] = c
	}
	if share := count[true][0] / 20_000; share < 0.09 || share > 0.11 {
		t.Error("share", share)
	}
	for k := 1; k < 3; k++ {
		bad, good := count[true][k]/count[true][0], count[false][k]/count[false][0]
		if bad < 0.4 || good > 0.12 || good == 0 || bad == 1 {
			t.Errorf("sign %d: %v of fraud, %v of the rest", k, bad, good)
		}
	}
}

// TestDigitsAreLearnable: the nearest mean picture, one of the simplest classifiers, is right
// far more often than one time in ten.
func TestDigitsAreLearnable(t *testing.T) {
	const train, n = 3000, 4000
	r, _ := open(t, Config{Kind: "digits"}).Make(0, n)
	img, label := r.Column(0).(*array.Binary), r.Column(1).(*array.String)
	var mean [10][side * side]float64
	var seen [10]float64
	for i := range train {
		d := label.Value(i)[0] - '0'
		seen[d]++
		for p, v := range img.Value(i) {
			mean[d][p] += float64(v)
		}
	}
	right := 0
	for i := train; i < n; i++ {
		best, least := 0, 0.0
		for d := range 10 {
			sum := 0.0
			for p, v := range img.Value(i) {
				x := float64(v) - mean[d][p]/seen[d]
				sum += x * x
			}
			if d == 0 || sum < least {
				best, least = d, sum
			}
		}
		if int(label.Value(i)[0]-'0') == best {
			right++
		}
	}
	if share := float64(right) / (n - train); share < 0.6 || share > 0.999 {
		t.Errorf("%v are right", share)
	}
}

func BenchmarkMake(b *testing.B) {
	for _, kind := range []string{"cars", "fraud", "digits", "moa.sea"} {
		b.Run(kind, func(b *testing.B) {
			s := open(b, Config{Kind: kind})
			n := 4096
			if kind == "digits" {
				n = 64
			}
			row := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				s.Make(row, n)
				row += int64(n)
			}
			b.ReportMetric(float64(row)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
