package generate

import (
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

var _ = builtin(Kind{
	Name: "digits",
	Doc: "Pictures of the digits 0 to 9: 28 x 28 bytes of grey, row by row, in different places, sizes and slants, with noise; and the " +
		"digit as label.",
	Options: []option.Option{{Name: "noise", Type: option.Float, Default: "0.15", Max: 1,
		Doc: "the noise of a pixel, as a share of its full brightness"}},
	open: func(s *setup) (maker, error) { return &digits{s.Seed, s.Float("noise")}, nil },
})

const side = 28

type digits struct {
	seed  uint64
	noise float64
}

var digitsList = []arrow.Field{flow.Field("img", flow.Bytes), flow.Field("label", flow.String)}

func (g *digits) fields() []arrow.Field { return digitsList }

func (g *digits) columns(row int64, n int, want []int) []arrow.Array {
	out := make([]arrow.Array, len(want))
	for i, w := range want {
		if w == 1 {
			out[i] = texts(n, func(i int) string {
				d := roll(g.seed, row+int64(i))
				return string(rune('0' + d.below(10)))
			})
			continue
		}
		out[i] = binaries(n, side*side, func(i int, to []byte) { g.draw(row+int64(i), to) })
	}
	return out
}

// draw paints one digit: for each pixel, the position in the glyph, and the brightness there,
// interpolated between the four nearest dots.
func (g *digits) draw(row int64, to []byte) {
	d := roll(g.seed, row)
	glyph := &glyphs[d.below(10)]
	size := 2.6 + 0.8*d.unit() // pixels a dot
	slant := 0.5*d.unit() - 0.25
	x0, y0 := side/2+6*d.unit()-3, side/2+4*d.unit()-2
	bright := 180 + 75*d.unit()
	for y := range side {
		v := (float64(y)-y0)/size + 3
		var bits uint64
		for x := range side {
			if x%4 == 0 {
				bits = d.Uint64()
			}
			u := (float64(x)-x0)/size + 2 + slant*(v-3)
			value := bright*glyph.at(u, v) + g.noise*255*(float64(bits&0xffff)/65535*2-1)
			bits >>= 16
			to[y*side+x] = byte(max(0, min(255, value)))
		}
	}
}

// dots is a glyph of 5 x 7 dots with a border of two, so that every position is between four
// dots.
type dots [11][9]float64

func (g *dots) at(u, v float64) float64 {
	u, v = u+2, v+2
	if u < 0 || v < 0 || u >= 8 || v >= 10 {
		return 0
	}
	x, y := int(u), int(v)
	du, dv := u-float64(x), v-float64(y)
	return (g[y][x]*(1-du)+g[y][x+1]*du)*(1-dv) + (g[y+1][x]*(1-du)+g[y+1][x+1]*du)*dv
}

var glyphs = func() (out [10]dots) {
	for digit, picture := range []string{
		".###. #...# #...# #...# #...# #...# .###.",
		"..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
		".###. #...# ....# ...#. ..#.. .#... #####",
		".###. #...# ....# ..##. ....# #...# .###.",
		"...#. ..##. .#.#. #..#. ##### ...#. ...#.",
		"##### #.... ####. ....# ....# #...# .###.",
		"..##. .#... #.... ####. #...# #...# .###.",
		"##### ....# ...#. ..#.. ..#.. .#... .#...",
		".###. #...# #...# .###. #...# #...# .###.",
		".###. #...# #...# .#### ....# ...#. .##..",
	} {
		for y, line := range strings.Fields(picture) {
			for x, c := range line {
				if c == '#' {
					out[digit][y+2][x+2] = 1
				}
			}
		}
	}
	return out
}()
