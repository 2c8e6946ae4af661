package lang

// Set is SET 'key' = 'value'.
type Set struct {
	Origin
	Key   *Text `parser:"'SET' @@"`
	Value Expr  `parser:"'=' @@"`
}

// Unset is UNSET 'key'.
type Unset struct {
	Origin
	Key *Text `parser:"'UNSET' @@"`
}

// Define is DEFINE name = 'value': a variable, for the statements after it.
type Define struct {
	Origin
	Name  Name  `parser:"'DEFINE' @@"`
	Value *Text `parser:"'=' @@"`
}

// Undefine is UNDEFINE name.
type Undefine struct {
	Origin
	Name Name `parser:"'UNDEFINE' @@"`
}

// RunScript is RUN SCRIPT 'path'.
type RunScript struct {
	Origin
	Path *Text `parser:"'RUN' 'SCRIPT' @@"`
}

// Control is TERMINATE, PAUSE, RESUME or RESTART of a job, or of ALL. Training says PAUSE | RESUME TRAINING model. From is where RESUME
// goes on, if not where the job stopped.
type Control struct {
	Origin
	Verb     Keyword `parser:"@('TERMINATE' | 'PAUSE' | 'RESUME' | 'RESTART')"`
	Training bool    `parser:"( @'TRAINING'"`
	Model    *Name   `parser:"@@"`
	All      bool    `parser:"| @'ALL'"`
	Job      *Name   `parser:"| @@ )"`
	From     Keyword `parser:"('FROM' @('STATE' | 'OFFSETS'))?"`
}
