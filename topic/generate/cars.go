package generate

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

var _ = builtin(Kind{
	Name: "cars",
	Doc: "Readings of a fleet of cars. Row i is of car i mod cars, at start + i / cars * step. The 18 readings are linear in five hidden " +
		"quantities (speed, load, ambient temperature, charge, road) and the class of the firmware, plus 1 % noise; each reading draws " +
		"them anew. A failing car vibrates with 150 times its speed, a healthy one with 100 times.",
	Options: []option.Option{
		{Name: "cars", Type: option.Int, Default: "100", Min: 1, Max: 1_000_000, Doc: "how many cars there are"},
		{Name: "failing", Type: option.Float, Default: "0.02", Max: 1, Doc: "the share of rows whose car is failing"},
		{Name: "episode", Type: option.Int, Default: "48", Min: 1, Max: 1 << 40,
			Doc: "for how many readings a car fails in one go"},
	},
	open: openCars,
})

// reading is one reading of a car as a linear rule: a base, then a factor for each hidden
// quantity, all in [0, 1], and for the class of the firmware, 0 or 1. Noise is in per cent of
// span.
type reading struct {
	name   string
	whole  bool
	base   float64
	factor [hidden + 1]float64
	span   float64
}

// The hidden quantities.
const (
	speed = iota
	load
	ambient
	charge
	road
	hidden
)

// Speed is 5..50 m/s. The temperature of the air is -10..35 degrees.
var readings = []reading{
	{"coolant_temp", false, 60, [6]float64{speed: 5, load: 28, ambient: 12}, 45},
	{"intake_air_temp", false, -5, [6]float64{load: 8, ambient: 42}, 50},
	{"intake_air_flow_speed", false, 20, [6]float64{speed: 70, load: 40}, 110},
	{"battery_percentage", false, 0, [6]float64{charge: 100}, 100},
	{"battery_voltage", false, 200, [6]float64{load: -15, charge: 60}, 75},
	{"current_draw", false, 5, [6]float64{speed: 30, load: 55, ambient: 4}, 90},
	{"speed", false, 5, [6]float64{speed: 45}, 45},
	{"engine_vibration_amplitude", false, 500, [6]float64{speed: 4500}, 4500},
	{"throttle_pos", false, 0.05, [6]float64{speed: 0.25, load: 0.65}, 0.9},
	{"tire_pressure11", true, 20, [6]float64{speed: 3, ambient: 12}, 15},
	{"tire_pressure12", true, 20, [6]float64{load: 2, ambient: 13}, 15},
	{"tire_pressure21", true, 21, [6]float64{load: 3, ambient: 11}, 14},
	{"tire_pressure22", true, 21, [6]float64{speed: 2, ambient: 12}, 14},
	{"accelerometer11_value", false, 0.5, [6]float64{speed: 1.0, road: 4.0}, 5},
	{"accelerometer12_value", false, 0.5, [6]float64{speed: 1.2, road: 3.6}, 4.8},
	{"accelerometer21_value", false, 0.4, [6]float64{load: 0.6, road: 4.4}, 5},
	{"accelerometer22_value", false, 0.4, [6]float64{load: 0.8, road: 4.0}, 4.8},
	{"control_unit_firmware", true, 1000, [6]float64{hidden: 1000}, 0},
}

const (
	vibrationColumn = 1 + 7
	failureColumn   = 1 + 18
	failingFactor   = 1.5
)

type cars struct {
	seed    uint64
	names   []string
	share   float64
	episode int64
	failing func(car int, at flow.Time) bool
	start   flow.Time
	step    int64
	list    []arrow.Field
}

func openCars(s *setup) (maker, error) {
	c := &cars{seed: s.Seed, share: s.Float("failing"), episode: s.Int("episode"), failing: s.Failing,
		start: s.Start, step: s.Step.Milliseconds()}
	for i := range s.Int("cars") {
		c.names = append(c.names, fmt.Sprintf("car-%04d", i))
	}
	c.list = append(c.list, flow.Field("car", flow.String))
	for _, r := range readings {
		t := flow.Double
		if r.whole {
			t = flow.Int
		}
		c.list = append(c.list, flow.Field(r.name, t))
	}
	c.list = append(c.list, flow.Field("failure_occurred", flow.String))
	return c, nil
}

func (c *cars) fields() []arrow.Field { return c.list }
func (c *cars) together() int64       { return int64(len(c.names)) }

// fails reports whether a car is failing at its nth reading.
func (c *cars) fails(car int, n int64) bool {
	if c.failing != nil {
		return c.failing(car, c.start+flow.Time(n*c.step))
	}
	return unit(mix(mix(c.seed^0xfa11)+uint64(car)<<32+uint64(n/c.episode))) < c.share
}

// state computes the hidden quantities of a car at its nth reading. They are independent of the
// previous reading, so that unusual healthy readings are not consecutive: two in a row mean a
// failure.
func (c *cars) state(car int, n int64, q *[hidden + 1]float64) {
	from := mix(c.seed + uint64(car)*0x9e3779b97f4a7c15)
	for k := range hidden {
		q[k] = unit(mix(from + uint64(n)*hidden + uint64(k)))
	}
	q[hidden] = float64(mix(from^0xf1) & 1)
}

func (c *cars) columns(row int64, n int, want []int) []arrow.Array {
	values := make([][]float64, len(readings)) // only requested columns are computed
	for _, w := range want {
		if w > 0 && w < failureColumn {
			values[w-1] = make([]float64, n)
		}
	}
	failing := make([]bool, n)
	count := int64(len(c.names))
	for i := range n {
		at := row + int64(i)
		car, nth := int(at%count), at/count
		var q [hidden + 1]float64
		c.state(car, nth, &q)
		failing[i] = c.fails(car, nth)
		d := roll(c.seed, at)
		var bits uint64
		for k := range readings {
			if k%4 == 0 {
				bits = d.Uint64()
			}
			// uniform, standard deviation 1 %
			noise := (float64(bits&0xffff) - 32767.5) * (0.01 * 1.7320508 / 32768)
			bits >>= 16
			if values[k] == nil {
				continue
			}
			r := &readings[k]
			v := r.base
			for j, f := range r.factor {
				v += f * q[j]
			}
			if k == vibrationColumn-1 && failing[i] {
				v *= failingFactor
			}
			values[k][i] = v + noise*r.span
		}
	}
	return c.arrays(row, n, want, values, failing)
}

func (c *cars) arrays(row int64, n int, want []int, values [][]float64, failing []bool) []arrow.Array {
	out := make([]arrow.Array, len(want))
	count := int64(len(c.names))
	for i, w := range want {
		switch {
		case w == 0:
			out[i] = texts(n, func(i int) string { return c.names[(row+int64(i))%count] })
		case w == failureColumn:
			out[i] = texts(n, func(i int) string {
				if failing[i] {
					return "true"
				}
				return "false"
			})
		case readings[w-1].whole:
			whole := make([]int32, n)
			for j, v := range values[w-1] {
				whole[j] = int32(math.Floor(v + 0.5))
			}
			out[i] = ints(whole)
		default:
			out[i] = doubles(values[w-1])
		}
	}
	return out
}
