package udf

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

var _ = builtin(Scalar{Name: "RANDOM", Doc: "a random DOUBLE from 0 to, but not, 1; another for every row",
	Within: func(w *World) func([]flow.Type) (Signature, error) {
		return func(have []flow.Type) (Signature, error) {
			return w.chance(
					flow.Double,
					func() any { return float64(w.random()>>11) / (1 << 53) },
				), Accept(
					"RANDOM",
					have,
				)
		}
	}, Examples: []Example{{"RANDOM() < 1", "true"}}})

var _ = builtin(
	Scalar{
		Name: "UUID",
		Doc: "a random UUID of version 4 (RFC 4122) as text, another for every row; UUID(bytes) spells the UUID " +
			"in 16 bytes",
		Within: func(w *World) func([]flow.Type) (Signature, error) {
			return func(have []flow.Type) (Signature, error) {
				if len(have) == 0 {
					return w.chance(flow.String, func() any { return randomUUID(w.random(), w.random()) }), nil
				}
				return Try1("UUID", "", uuidOf).Bind(have)
			}
		},
		Examples: []Example{
			{"LEN(UUID())", "36"},
			{"UUID(TO_BYTES('237e9877e79b12d4a765321741963000', 'hex'))", "237e9877-e79b-12d4-a765-321741963000"},
		},
	},
)

func (w *World) chance(t flow.Type, f func() any) Signature {
	return Signature{Result: t, Volatile: true, Kernel: func(_ []arrow.Array, rows int, env Env) arrow.Array {
		b := flow.Builder(t)
		for i := range rows {
			if w.random == nil {
				env.Fail(i, errWorld)
				b.AppendNull()
				continue
			}
			flow.Append(b, f())
		}
		return b.NewArray()
	}}
}

func randomUUID(a, b uint64) string {
	return spellUUID(a&^0xf000|0x4000, b&^(3<<62)|1<<63)
}

func spellUUID(a, b uint64) string {
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&(1<<48-1))
}

func uuidOf(b []byte) (string, error) {
	if len(b) != 16 {
		return "", fmt.Errorf("a UUID has 16 bytes, not %d", len(b))
	}
	x := fmt.Sprintf("%x", b)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:], nil
}
