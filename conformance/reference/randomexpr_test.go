package reference_test

import "fmt"

// expr generates an expression of a type over the columns of s.
func (g *maker) expr(typ string, depth int) string {
	if depth == 0 || g.one("leaf", 3) {
		return g.leaf(typ)
	}
	same := func() string { return g.expr(typ, depth-1) }
	of := func(t string) string { return g.expr(t, depth-1) }
	switch g.upTo("form", 3) {
	case 0:
		return fmt.Sprintf("(CASE WHEN %s THEN %s WHEN %s THEN %s ELSE %s END)", of("BOOLEAN"), same(), of("BOOLEAN"),
			same(), same())
	case 1:
		return fmt.Sprintf("%s(%s, %s)", g.pick("choice", "COALESCE", "IFNULL", "NULLIF"), same(), same())
	}
	switch typ {
	case "STRING":
		switch g.upTo("text", 5) {
		case 0:
			return fmt.Sprintf("CAST(%s AS STRING)", of(g.typ()))
		case 1:
			return fmt.Sprintf("%s(%s)", g.pick("function", "UCASE", "LCASE", "TRIM"), same())
		case 2:
			return fmt.Sprintf("SUBSTRING(%s, %d, %d)", same(), g.upTo("from", 6)-3, g.upTo("length", 3))
		case 3:
			return fmt.Sprintf("REPLACE(%s, 'a', %s)", same(), same())
		case 4:
			return fmt.Sprintf("CONCAT_WS('-', %s, %s)", same(), same())
		}
		return fmt.Sprintf("(%s || %s)", same(), same())
	case "BOOLEAN":
		return g.condition(of)
	case "LIST":
		return g.list(of)
	case "INT":
		switch g.upTo("int", 6) {
		case 3:
			return fmt.Sprintf("REDUCE(%s, %s, (s, e) => s %s e)", of("LIST"), same(), g.pick("step", "+", "-", "*"))
		case 4:
			return fmt.Sprintf("(%s)[%d]", of("LIST"), g.upTo("index", 4)-2)
		case 0:
			return fmt.Sprintf("LEN(%s)", of("STRING"))
		case 1:
			return fmt.Sprintf("SIGN(%s)", of("DOUBLE"))
		case 2:
			return fmt.Sprintf("CAST(%s AS INT)", of(g.typ1()))
		}
	case "BIGINT", "DOUBLE":
		if g.one("cast", 2) {
			return fmt.Sprintf("CAST(%s AS %s)", of(g.typ1()), typ)
		}
	case "DECIMAL":
		if g.one("cast", 2) {
			return fmt.Sprintf("CAST(%s AS DECIMAL(10, %d))", of(g.typ1()), g.upTo("scale", 4))
		}
	}
	if g.one("function of a number", 3) {
		return fmt.Sprintf("%s(%s)", g.pick("number function", "ABS", "FLOOR", "CEIL", "-"), same())
	}
	return fmt.Sprintf("(%s %s %s)", same(), g.pick("operator", "+", "-", "*", "/", "%"), same())
}

func (g *maker) list(of func(string) string) string {
	switch g.upTo("list", 2) {
	case 0:
		return fmt.Sprintf("TRANSFORM(%s, e => %s)", of("LIST"),
			g.pick("body", "e + 1", "e * a", "a", "CASE WHEN e > 1 THEN e ELSE -e END"))
	case 1:
		return fmt.Sprintf("FILTER(%s, e => %s)", of("LIST"), g.pick("body", "e > 1", "e IS NOT NULL", "e = a", "f"))
	}
	return fmt.Sprintf("ARRAY[%s, %s]", of("INT"), of("INT"))
}

// typ1 returns a type that can be cast to any number.
func (g *maker) typ1() string {
	return g.pick("type to cast", "INT", "BIGINT", "DOUBLE", "DECIMAL", "STRING")
}

func (g *maker) condition(of func(string) string) string {
	t := g.pick("compared", "INT", "BIGINT", "DOUBLE", "DECIMAL", "STRING")
	switch g.upTo("condition", 7) {
	case 0:
		return fmt.Sprintf("(%s AND %s)", of("BOOLEAN"), of("BOOLEAN"))
	case 1:
		return fmt.Sprintf("(%s OR %s)", of("BOOLEAN"), of("BOOLEAN"))
	case 2:
		return fmt.Sprintf("(NOT %s)", of("BOOLEAN"))
	case 3:
		return fmt.Sprintf("(%s IS %s)", of(g.typ()), g.pick("null", "NULL", "NOT NULL"))
	case 4:
		return fmt.Sprintf("(%s %s (%s, %s, NULL))", of(t), g.pick("in", "IN", "NOT IN"), of(t), of(t))
	case 5:
		return fmt.Sprintf("(%s BETWEEN %s AND %s)", of(t), of(t), of(t))
	case 6:
		return fmt.Sprintf("(%s %s %s)", of("STRING"), g.pick("like", "LIKE", "NOT LIKE"),
			g.pick("pattern", "'%a%'", "'_'", "'a%'", "'%2'", "'a!_!%%' ESCAPE '!'", "'%'", "t"))
	}
	return fmt.Sprintf("(%s %s %s)", of(t), g.pick("comparison", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"),
		of(t))
}

func (g *maker) leaf(typ string) string {
	switch typ {
	case "INT":
		return g.pick("leaf", "a", "a", "2", "-1", "LEN(t)", "l[1]", "l[-1]")
	case "BIGINT":
		return g.pick("leaf", "b", "b", "ROWTIME", "5000000000", "ROWOFFSET", "m['a']")
	case "DOUBLE":
		return g.pick("leaf", "x", "x", "1.5E0", "-2E-1")
	case "DECIMAL":
		return g.pick("leaf", "d", "d", "1.5", "0.01")
	case "LIST":
		return g.pick("leaf", "l", "l", "ARRAY[1, a]")
	case "STRING":
		return g.pick("leaf", "t", "t", "'a'", "'12'")
	}
	return g.pick("leaf", "f", "f", "TRUE", "(a > 1)", "(t = 'a')", "(x >= 0.2E0)")
}
