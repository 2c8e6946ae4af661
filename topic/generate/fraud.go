package generate

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

var _ = builtin(Kind{
	Name: "fraud",
	Doc: "Card payments, some of them fraudulent. Fraud is larger, at night, abroad and for things that are easily sold, each only more " +
		"often than not, so that no single column identifies it.",
	Options: []option.Option{
		{Name: "cards", Type: option.Int, Default: "1000", Min: 1, Max: 1_000_000, Doc: "how many cards there are"},
		{Name: "share", Type: option.Float, Default: "0.02", Max: 1, Doc: "the share of fraudulent payments"},
	},
	open: func(s *setup) (maker, error) {
		return &fraud{s.Seed, int(s.Int("cards")), s.Float("share")}, nil
	},
})

type fraud struct {
	seed  uint64
	cards int
	share float64
}

var (
	countries  = []string{"DE", "FR", "GB", "US", "BR", "IN", "JP", "ZA"}
	categories = []string{
		"grocery",
		"restaurant",
		"fuel",
		"clothing",
		"travel",
		"electronics",
		"jewellery",
		"gift card",
	}
	fraudList = []arrow.Field{
		flow.Field("card", flow.String),
		flow.Field("amount", flow.Double),
		flow.Field("merchant_category", flow.String),
		flow.Field(
			"hour",
			flow.Int,
		),
		flow.Field("country", flow.String),
		flow.Field("home_country", flow.String),
		flow.Field("is_fraud", flow.String),
	}
)

func (f *fraud) fields() []arrow.Field { return fraudList }

type payment struct {
	card                              int
	amount                            float64
	category, country, home, is_fraud string
	hour                              int32
}

func (f *fraud) payment(row int64) (p payment) {
	d := roll(f.seed, row)
	p.card = d.below(f.cards)
	p.home = countries[mix(f.seed+uint64(p.card))%uint64(len(countries))]
	bad := d.unit() < f.share
	p.is_fraud = map[bool]string{true: "true", false: "false"}[bad]
	typical, abroad, night, dear := 3.3, 0.04, 0.06, 0.15
	if bad {
		typical, abroad, night, dear = 5.2, 0.6, 0.55, 0.75
	}
	p.amount = math.Round(100*math.Exp(typical+0.9*d.bell())) / 100
	if p.country = p.home; d.unit() < abroad {
		p.country = d.pick(countries)
	}
	if p.hour = int32(6 + d.below(18)); d.unit() < night {
		p.hour = int32(d.below(6))
	}
	if p.category = d.pick(categories[:5]); d.unit() < dear {
		p.category = d.pick(categories[5:])
	}
	return p
}

func (f *fraud) columns(row int64, n int, want []int) []arrow.Array {
	list := make([]payment, n)
	for i := range list {
		list[i] = f.payment(row + int64(i))
	}
	amounts, hours := make([]float64, n), make([]int32, n)
	for i, p := range list {
		amounts[i], hours[i] = p.amount, p.hour
	}
	out := make([]arrow.Array, len(want))
	for i, w := range want {
		switch fraudList[w].Name {
		case "card":
			out[i] = texts(n, func(i int) string { return fmt.Sprintf("card-%06d", list[i].card) })
		case "amount":
			out[i] = doubles(amounts)
		case "merchant_category":
			out[i] = texts(n, func(i int) string { return list[i].category })
		case "hour":
			out[i] = ints(hours)
		case "country":
			out[i] = texts(n, func(i int) string { return list[i].country })
		case "home_country":
			out[i] = texts(n, func(i int) string { return list[i].home })
		default:
			out[i] = texts(n, func(i int) string { return list[i].is_fraud })
		}
	}
	return out
}
