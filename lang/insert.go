package lang

// Insert is INSERT INTO name, with VALUES (Rows, one or more) or with a query (Query). Columns is empty if the
// statement names none.
type Insert struct {
	Origin
	Into    Name       `parser:"'INSERT' 'INTO' @@"`
	Columns []Name     `parser:"('(' @@ (',' @@)* ')')?"`
	With    []*Setting `parser:"((?= 'WITH' '(') 'WITH' '(' (@@ (',' @@)*)? ')')?"`
	Rows    []*Row     `parser:"( 'VALUES' @@ (',' @@)*"`
	Query   *Query     `parser:"| @@ )"`
}

// Traits returns the traits of INSERT INTO. With a query it defines a job, otherwise it writes rows.
func (s *Insert) Traits() Traits {
	if s.Query == nil {
		return Traits{Name: "INSERT INTO", Effect: Writes, Bounded: true}
	}
	t := defines("INSERT INTO")
	t.Plan = true
	return t
}

func (*Insert) names() []string { return []string{"INSERT INTO"} }

// Row is one row of VALUES.
type Row struct {
	At
	Values []Expr `parser:"'(' @@ (',' @@)* ')'"`
}
