package lang

import "strings"

// Set is SET 'key' = 'value'.
type Set struct {
	Origin
	Key   *Text `parser:"'SET' @@"`
	Value Expr  `parser:"'=' @@"`
}

// Traits returns the traits of SET.
func (*Set) Traits() Traits { return sets("SET") }

func (*Set) names() []string { return []string{"SET"} }

// Unset is UNSET 'key'.
type Unset struct {
	Origin
	Key *Text `parser:"'UNSET' @@"`
}

// Traits returns the traits of UNSET.
func (*Unset) Traits() Traits { return sets("UNSET") }

func (*Unset) names() []string { return []string{"UNSET"} }

// Define is DEFINE name = 'value'. It sets a variable for the statements after it.
type Define struct {
	Origin
	Name  Name  `parser:"'DEFINE' @@"`
	Value *Text `parser:"'=' @@"`
}

// Traits returns the traits of DEFINE.
func (*Define) Traits() Traits { return sets("DEFINE") }

// vary sets the variable for the statements after this one.
func (s *Define) vary(variables map[string]string) {
	variables[strings.ToUpper(s.Name.Text)] = s.Value.Value
}

func (*Define) names() []string { return []string{"DEFINE"} }

// Undefine is UNDEFINE name.
type Undefine struct {
	Origin
	Name Name `parser:"'UNDEFINE' @@"`
}

// Traits returns the traits of UNDEFINE.
func (*Undefine) Traits() Traits { return sets("UNDEFINE") }

// vary removes the variable for the statements after this one.
func (s *Undefine) vary(variables map[string]string) { delete(variables, strings.ToUpper(s.Name.Text)) }

func (*Undefine) names() []string { return []string{"UNDEFINE"} }

// RunScript is RUN SCRIPT 'path'.
type RunScript struct {
	Origin
	Path *Text `parser:"'RUN' 'SCRIPT' @@"`
}

// Traits returns the traits of RUN SCRIPT.
func (*RunScript) Traits() Traits { return sets("RUN SCRIPT") }

func (*RunScript) names() []string { return []string{"RUN SCRIPT"} }

// Control is TERMINATE, PAUSE, RESUME or RESTART of a job, or of ALL jobs. Training is set for PAUSE and RESUME
// TRAINING model. From selects the position from which RESUME continues; if it is empty, the job continues from
// the position at which it stopped.
type Control struct {
	Origin
	Verb     Keyword `parser:"@('TERMINATE' | 'PAUSE' | 'RESUME' | 'RESTART')"`
	Training bool    `parser:"( @'TRAINING'"`
	Model    *Name   `parser:"@@"`
	All      bool    `parser:"| @'ALL'"`
	Job      *Name   `parser:"| @@ )"`
	From     Keyword `parser:"('FROM' @('STATE' | 'OFFSETS'))?"`
}

// Traits returns the traits of TERMINATE, PAUSE, RESUME and RESTART.
func (s *Control) Traits() Traits { return defines(string(s.Verb)) }

func (*Control) names() []string { return choices[Control]("Verb") }
