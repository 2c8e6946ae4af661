package flow

import (
	"strings"
	"testing"
)

// byName returns the type with a name that the tables below use.
func byName(t *testing.T, name string) Type {
	t.Helper()
	all := append(
		append([]Type(nil), every...),
		Decimal(10, 0),
		Decimal(19, 0),
		Decimal(12, 2),
		Decimal(21, 2),
		Decimal(4, 2),
		Decimal(3, 0),
		Decimal(6, 4),
		Decimal(38, 0),
		Decimal(
			7,
			4,
		),
		Decimal(5, 2),
		Array(Bigint),
		Array(Null),
		Array(Double),
		Map(String, Int),
		Map(String, Null),
		Map(Int, Int),
		Struct(Field("a", Int)),
		Struct(Field("a", Bigint)),
		Struct(Field("b", Int)),
		Struct(Field("a", Int), Field("b", Int)),
		Struct(Field("a", String)),
	)
	for _, of := range all {
		if TypeName(of) == name {
			return of
		}
	}
	t.Fatalf("no type %s in the table", name)
	return nil
}

func TestCommon(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{ // want "": none
		{"INTEGER", "INTEGER", "INTEGER"}, {"INTEGER", "BIGINT", "BIGINT"}, {"INTEGER", "FLOAT", "FLOAT"}, {"BIGINT", "DOUBLE", "DOUBLE"},
		{"FLOAT", "DOUBLE", "DOUBLE"}, {"NULL", "INTEGER", "INTEGER"}, {"NULL", "NULL", "NULL"}, {"NULL", "ARRAY<INTEGER>", "ARRAY<INTEGER>"},
		{"INTEGER", "DECIMAL(10,0)", "DECIMAL(10,0)"}, {"INTEGER", "DECIMAL(4,2)", "DECIMAL(12,2)"}, {"BIGINT", "DECIMAL(4,2)", "DECIMAL(21,2)"},
		{"DECIMAL(4,2)", "DECIMAL(3,0)", "DECIMAL(5,2)"}, {"DECIMAL(4,2)", "DECIMAL(6,4)", "DECIMAL(6,4)"}, {"DECIMAL(3,0)", "DECIMAL(6,4)", "DECIMAL(7,4)"},
		{"DECIMAL(38,0)", "DECIMAL(38,10)", "DECIMAL(38,10)"}, {"DECIMAL(4,2)", "DOUBLE", "DOUBLE"}, {"DECIMAL(4,2)", "FLOAT", "FLOAT"},
		{"INTEGER", "STRING", ""}, {"BOOLEAN", "INTEGER", ""}, {"DATE", "TIMESTAMP", ""}, {"STRING", "BYTES", ""}, {"INTEGER", "ARRAY<INTEGER>", ""},
		{"ARRAY<INTEGER>", "ARRAY<BIGINT>", "ARRAY<BIGINT>"}, {"ARRAY<NULL>", "ARRAY<DOUBLE>", "ARRAY<DOUBLE>"}, {"ARRAY<INTEGER>", "ARRAY<STRING>", ""},
		{"MAP<STRING, INTEGER>", "MAP<STRING, DOUBLE>", "MAP<STRING, DOUBLE>"}, {"MAP<STRING, NULL>", "MAP<STRING, INTEGER>", "MAP<STRING, INTEGER>"},
		{"MAP<STRING, INTEGER>", "MAP<INTEGER, INTEGER>", ""}, {"MAP<INTEGER, INTEGER>", "ARRAY<INTEGER>", ""},
		{"STRUCT<`a` INTEGER>", "STRUCT<`a` BIGINT>", "STRUCT<`a` BIGINT>"}, {"STRUCT<`a` INTEGER>", "STRUCT<`b` INTEGER>", "STRUCT<`a` INTEGER, `b` INTEGER>"},
		{"STRUCT<`a` INTEGER>", "STRUCT<`a` STRING>", ""}, {"STRUCT<`a` INTEGER>", "INTEGER", ""},
	} {
		a, b := byName(t, c.a), byName(t, c.b)
		for _, pair := range [][2]Type{{a, b}, {b, a}} {
			got, ok := Common(pair[0], pair[1])
			if c.want == "" {
				if ok {
					t.Errorf("%s and %s have %s in common", TypeName(pair[0]), TypeName(pair[1]), TypeName(got))
				}
				continue
			}
			// the fields of a struct are in the order of the first type: only their set does
			// not depend on the order of arguments
			if !ok ||
				TypeName(got) != c.want &&
					!(strings.HasPrefix(c.want, "STRUCT") && len(TypeName(got)) == len(c.want)) {
				t.Errorf(
					"%s and %s have %s in common (%v), want %s",
					TypeName(pair[0]),
					TypeName(pair[1]),
					TypeName(got),
					ok,
					c.want,
				)
			}
			if ok && c.a != "DECIMAL(38,0)" && !strings.Contains(c.want, "`b`") &&
				(!Widens(a, got) || !Widens(b, got)) {
				t.Errorf("%s or %s does not widen to their common %s", c.a, c.b, TypeName(got))
			}
		}
	}
}

func TestWidens(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"NULL", "BYTES", true}, {"BYTES", "NULL", false}, {"BIGINT", "INTEGER", false}, {"INTEGER", "DECIMAL(4,2)", false}, {"INTEGER", "DECIMAL(12,2)", true},
		{"BIGINT", "DECIMAL(12,2)", false}, {"BIGINT", "DECIMAL(21,2)", true}, {"DECIMAL(4,2)", "DECIMAL(6,4)", true}, {"DECIMAL(6,4)", "DECIMAL(4,2)", false},
		{"DECIMAL(38,10)", "DOUBLE", true}, {"DOUBLE", "DECIMAL(38,10)", false}, {"FLOAT", "DECIMAL(38,10)", false}, {"DOUBLE", "FLOAT", false},
		{"BOOLEAN", "STRING", false}, {"INTEGER", "STRING", false}, {"DATE", "TIMESTAMP", false},
		{"ARRAY<INTEGER>", "ARRAY<BIGINT>", true}, {"ARRAY<BIGINT>", "ARRAY<INTEGER>", false}, {"MAP<STRING, INTEGER>", "MAP<STRING, DOUBLE>", true},
		{"STRUCT<`a` INTEGER>", "STRUCT<`a` BIGINT>", true}, {"STRUCT<`a` INTEGER>", "STRUCT<`b` INTEGER>", false},
		{"STRUCT<`a` INTEGER>", "STRUCT<`a` INTEGER, `b` INTEGER>", false},
	} {
		if got := Widens(byName(t, c.from), byName(t, c.to)); got != c.want {
			t.Errorf("%s widens to %s: %v", c.from, c.to, got)
		}
	}
	for _, of := range every {
		if !Widens(of, of) {
			t.Errorf("%s does not widen to itself", TypeName(of))
		}
	}
}
