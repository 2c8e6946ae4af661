package lang

// CreateModel is CREATE MODEL. The fields are in the order of its clauses. A model over an import or a remote
// model has Input and Output and no From. The form OPTIONS (..) AS query of BigQuery sets With and Query; it is
// equivalent to FROM (query) .. WITH (..).
type CreateModel struct {
	Origin
	OrReplace   bool       `parser:"'CREATE' ('OR' @'REPLACE')? 'MODEL'"`
	IfNotExists bool       `parser:"((?= 'IF' 'NOT') 'IF' 'NOT' @'EXISTS')?"`
	Name        Name       `parser:"@@"`
	Input       []*Column  `parser:"('INPUT' '(' @@ (',' @@)* ')')?"`
	Output      []*Column  `parser:"('OUTPUT' '(' @@ (',' @@)* ')')?"`
	Transform   []*Item    `parser:"('TRANSFORM' '(' @@ (',' @@)* ')')?"`
	Target      *Name      `parser:"('TARGET' @@)?"`
	Weight      Expr       `parser:"('WEIGHT' @@)?"`
	From        *Relation  `parser:"('FROM' @@"`
	Per         *Name      `parser:"  ('PER' @@)?"`
	Window      *Window    `parser:"  ('WINDOW' @@)?"`
	Train       *Train     `parser:"  ('TRAIN' @@)?"`
	Labels      *Labels    `parser:"  ('LABELS' 'FROM' @@)?"`
	Evaluate    *Evaluate  `parser:"  ('EVALUATE' @@)?"`
	Drift       *Drift     `parser:"  ('ON' 'DRIFT' 'OF' @@)?"`
	Promote     *Promote   `parser:"  ('PROMOTE' @@)? )?"`
	With        []*Setting `parser:"(('WITH' | 'OPTIONS') '(' (@@ (',' @@)*)? ')')?"`
	Query       *Query     `parser:"('AS' @@)?"`
}

// Traits returns the traits of CREATE MODEL.
func (s *CreateModel) Traits() Traits {
	t := defines("CREATE MODEL")
	t.Plan, t.Trains = true, &s.Name
	return t
}

// order returns the clauses of CREATE MODEL in their order.
func (*CreateModel) order() []string {
	return []string{"TRANSFORM (..)", "TARGET column", "WEIGHT expression", "FROM source", "SINCE ..", "UNTIL ..",
		"PER column", "WINDOW ..", "TRAIN ..", "LABELS FROM ..", "EVALUATE ..", "ON DRIFT ..", "PROMOTE ..", "WITH (..)"}
}

func (*CreateModel) names() []string { return []string{"CREATE MODEL", "CREATE OR REPLACE MODEL"} }

// Train is TRAIN ONCE, EACH WINDOW or EACH EVENT. Memory is set for EACH WINDOW only: FRESH, WARM START, DECAY
// (with Decay) or empty. For EACH EVENT, PUBLISH EVERY n ROWS sets Rows, and PUBLISH EVERY t sets Every.
type Train struct {
	At
	Mode   Keyword // ONCE, EACH WINDOW or EACH EVENT
	Memory Keyword
	Decay  *Number
	Rows   *Count
	Every  *Interval
}

// Labels is LABELS FROM source ON key WITHIN t [DEFAULT value].
type Labels struct {
	At
	From    *Relation `parser:"@@"`
	On      Name      `parser:"'ON' @@"`
	Within  *Interval `parser:"'WITHIN' @@"`
	Default Expr      `parser:"('DEFAULT' @@)?"`
}

// Evaluate is EVALUATE. Mode is PREQUENTIAL (Window or Fading may be set), HOLDOUT (Share), TEST (Query) or NONE.
type Evaluate struct {
	At
	Mode   Keyword
	Window *Count
	Fading *Number
	Share  *Number
	Query  *Query
}

// Drift is ON DRIFT OF {ERROR | FEATURES | PREDICTIONS} USING detector[(arg, ..)] {WARN | RETRAIN | RESET}.
type Drift struct {
	At
	Of       Keyword `parser:"@('ERROR' | 'FEATURES' | 'PREDICTIONS')"`
	Detector Name    `parser:"'USING' @@"`
	Args     []Expr  `parser:"('(' (@@ (',' @@)*)? ')')?"`
	Then     Keyword `parser:"@('WARN' | 'RETRAIN' | 'RESET')"`
}

// Promote is PROMOTE ALWAYS, MANUAL or WHEN condition.
type Promote struct {
	At
	Mode Keyword `parser:"( @('ALWAYS' | 'MANUAL') | @'WHEN'"`
	When Expr    `parser:"  @@ )"`
}

// RetrainModel is RETRAIN MODEL m [scan].
type RetrainModel struct {
	Origin
	Name Name `parser:"'RETRAIN' 'MODEL' @@"`
	Scan Scan `parser:"@@"`
}

// Traits returns the traits of RETRAIN MODEL.
func (s *RetrainModel) Traits() Traits {
	t := defines("RETRAIN MODEL")
	t.Trains = &s.Name
	return t
}

func (*RetrainModel) names() []string { return []string{"RETRAIN MODEL"} }

// DropModel is DROP MODEL [IF EXISTS] m, or m$n for one version.
type DropModel struct {
	Origin
	IfExists bool      `parser:"'DROP' 'MODEL' ((?= 'IF' 'EXISTS') 'IF' @'EXISTS')?"`
	Name     ModelName `parser:"@@"`
}

// Traits returns the traits of DROP MODEL.
func (*DropModel) Traits() Traits { return defines("DROP MODEL") }

func (*DropModel) names() []string { return []string{"DROP MODEL"} }

// AlterModel is ALTER MODEL m SET DEFAULT VERSION n, SET CHALLENGER n, SET ALIAS a n, SET ('k' = 'v', ..) or
// RENAME TO x. Exactly one of Default, Challenger, Alias (with AliasVersion), Set and Rename is set.
type AlterModel struct {
	Origin
	Name         Name       `parser:"'ALTER' 'MODEL' @@"`
	Rename       *Name      `parser:"( 'RENAME' 'TO' @@ | 'SET' ("`
	Default      *Count     `parser:"  'DEFAULT' 'VERSION' @@"`
	Challenger   *Count     `parser:"| 'CHALLENGER' @@"`
	Alias        *Name      `parser:"| 'ALIAS' @@"`
	AliasVersion *Count     `parser:"  @@"`
	Set          []*Setting `parser:"| '(' @@ (',' @@)* ')' ) )"`
}

// Traits returns the traits of ALTER MODEL.
func (*AlterModel) Traits() Traits { return defines("ALTER MODEL") }

func (*AlterModel) names() []string { return []string{"ALTER MODEL"} }

// ModelCommand is ROLLBACK, EXPORT or REPRODUCE MODEL m. Verb is the first word.
type ModelCommand struct {
	Origin
	Verb Keyword   `parser:"@('ROLLBACK' | 'EXPORT' | 'REPRODUCE') 'MODEL'"`
	Name ModelName `parser:"@@"`
}

// Traits returns the traits of ROLLBACK MODEL, EXPORT MODEL and REPRODUCE MODEL.
func (s *ModelCommand) Traits() Traits { return defines(string(s.Verb) + " MODEL") }

func (*ModelCommand) names() []string { return each("", choices[ModelCommand]("Verb"), " MODEL") }
