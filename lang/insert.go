package lang

// Insert is INSERT INTO name, either with VALUES (Rows, one or more) or with a query (Query). Columns is empty if none are named.
type Insert struct {
	Origin
	Into    Name       `parser:"'INSERT' 'INTO' @@"`
	Columns []Name     `parser:"('(' @@ (',' @@)* ')')?"`
	With    []*Setting `parser:"((?= 'WITH' '(') 'WITH' '(' (@@ (',' @@)*)? ')')?"`
	Rows    []*Row     `parser:"( 'VALUES' @@ (',' @@)*"`
	Query   *Query     `parser:"| @@ )"`
}

// Row is one row of VALUES.
type Row struct {
	At
	Values []Expr `parser:"'(' @@ (',' @@)* ')'"`
}
