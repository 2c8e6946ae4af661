package generate

import (
	"sync"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

var _ = builtin(Kind{
	Name: "moa.sea",
	Doc: "The SEA concepts as MOA generates them, row for row (Street and Kim, A Streaming Ensemble Algorithm, 2001): three numbers from 0 to 10, " +
		"of which two decide the class, groupB when their sum is over a threshold.",
	Options: []option.Option{
		{Name: "function", Type: option.Int, Default: "1", Min: 1, Max: 4, Doc: "the threshold: 1 to 4 mean 8, 9, 7 and 9.5"},
		{Name: "noise", Type: option.Int, Default: "10", Max: 100, Doc: "in how many rows of 100 the class is wrong"},
		{Name: "balance", Type: option.Bool, Default: "false", Doc: "true: rows are drawn again until the classes alternate"},
	},
	open: func(s *setup) (maker, error) {
		g := &sea{noise: int32(s.Int("noise")), balance: s.Bool("balance")}
		g.over = [...]float64{8, 9, 7, 9.5}[s.Int("function")-1]
		g.states = []seaState{{random: newJavaRandom(int64(s.Seed))}}
		return g, nil
	},
})

type sea struct {
	noise   int32
	balance bool
	over    float64

	mu     sync.Mutex
	states []seaState // before every seaStride-th row, as far as rows have been generated
	end    int64      // the row after the last generated one
	last   seaState   // the state before that row
}

// seaState is the state of the generator before a row: MOA's rows are one sequence of draws.
type seaState struct {
	random javaRandom
	next   bool // balance: the class of the next row
}

// seaStride is the maximum number of rows that are generated again to reach a row.
const seaStride = 65_536

var seaList = []arrow.Field{
	flow.Field("attrib1", flow.Double),
	flow.Field("attrib2", flow.Double),
	flow.Field("attrib3", flow.Double),
	flow.Field("class", flow.String),
}

func (g *sea) fields() []arrow.Field { return seaList }

func (g *sea) row(s *seaState) (a [3]float64, class bool) {
	for {
		for k := range a {
			a[k] = 10 * s.random.double()
		}
		if class = a[0]+a[1] > g.over; !g.balance || class == s.next {
			break
		}
	}
	s.next = !s.next
	if 1+s.random.below(100) <= g.noise {
		class = !class
	}
	return a, class
}

// at returns the state before a row, computed from the nearest known state.
func (g *sea) at(row int64) seaState {
	g.mu.Lock()
	defer g.mu.Unlock()
	for int64(len(g.states)) <= row/seaStride { // MOA's order of draws allows no direct access to a row
		s := g.states[len(g.states)-1]
		for range seaStride {
			g.row(&s)
		}
		g.states = append(g.states, s)
	}
	if row == g.end && row > 0 { // sequential reading continues
		return g.last
	}
	s := g.states[row/seaStride]
	for range row % seaStride {
		g.row(&s)
	}
	return s
}

func (g *sea) columns(row int64, n int, want []int) []arrow.Array {
	s := g.at(row)
	values, class := [3][]float64{make([]float64, n), make([]float64, n), make([]float64, n)}, make([]bool, n)
	for i := range n {
		var a [3]float64
		a, class[i] = g.row(&s)
		for k, v := range a {
			values[k][i] = v
		}
	}
	g.mu.Lock()
	g.end, g.last = row+int64(n), s
	g.mu.Unlock()
	out := make([]arrow.Array, len(want))
	for i, w := range want {
		if w < 3 {
			out[i] = doubles(values[w])
			continue
		}
		out[i] = texts(n, func(i int) string {
			if class[i] {
				return "groupB"
			}
			return "groupA"
		})
	}
	return out
}

// javaRandom is the generator in the documentation of java.util.Random, so that streams of Java
// programs can be reproduced.
type javaRandom struct{ state int64 }

func newJavaRandom(seed int64) javaRandom {
	return javaRandom{(seed ^ 0x5DEECE66D) & (1<<48 - 1)}
}

func (r *javaRandom) bits(n uint) int32 {
	r.state = (r.state*0x5DEECE66D + 11) & (1<<48 - 1)
	return int32(r.state >> (48 - n))
}

func (r *javaRandom) double() float64 {
	return float64(int64(r.bits(26))<<27+int64(r.bits(27))) * (1.0 / (1 << 53))
}

// below is nextInt(n).
func (r *javaRandom) below(n int32) int32 {
	if n&-n == n {
		return int32(int64(n) * int64(r.bits(31)) >> 31)
	}
	for {
		v := r.bits(31)
		if m := v % n; v-m+(n-1) >= 0 {
			return m
		}
	}
}
