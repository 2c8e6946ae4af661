package lang

// CreateArchive is ARCHIVE TOPIC t [AS stream] TO 'url' [UNSAFE SINGLE WRITER] [WITH (..)].
type CreateArchive struct {
	Origin
	Topic  TopicName  `parser:"'ARCHIVE' 'TOPIC' @@"`
	As     *Name      `parser:"('AS' @@)?"`
	To     *Text      `parser:"'TO' @@"`
	Unsafe bool       `parser:"('UNSAFE' 'SINGLE' @'WRITER')?"`
	With   []*Setting `parser:"('WITH' '(' (@@ (',' @@)*)? ')')?"`
}

// Traits returns the traits of ARCHIVE TOPIC.
func (*CreateArchive) Traits() Traits { return defines("ARCHIVE TOPIC") }

func (*CreateArchive) names() []string { return []string{"ARCHIVE TOPIC"} }

// AlterArchive is ALTER ARCHIVE t SET ('k' = 'v', ..).
type AlterArchive struct {
	Origin
	Topic TopicName  `parser:"'ALTER' 'ARCHIVE' @@"`
	Set   []*Setting `parser:"'SET' '(' @@ (',' @@)* ')'"`
}

// Traits returns the traits of ALTER ARCHIVE.
func (*AlterArchive) Traits() Traits { return defines("ALTER ARCHIVE") }

func (*AlterArchive) names() []string { return []string{"ALTER ARCHIVE"} }

// ControlArchive is PAUSE or RESUME ARCHIVE t.
type ControlArchive struct {
	Origin
	Verb  Keyword   `parser:"@('PAUSE' | 'RESUME') 'ARCHIVE'"`
	Topic TopicName `parser:"@@"`
}

// Traits returns the traits of PAUSE ARCHIVE and RESUME ARCHIVE.
func (s *ControlArchive) Traits() Traits { return defines(string(s.Verb) + " ARCHIVE") }

func (*ControlArchive) names() []string { return each("", choices[ControlArchive]("Verb"), " ARCHIVE") }

// DropArchive is DROP ARCHIVE t [DELETE OBJECTS] [FORCE].
type DropArchive struct {
	Origin
	Topic         TopicName `parser:"'DROP' 'ARCHIVE' @@"`
	DeleteObjects bool      `parser:"('DELETE' @'OBJECTS')?"`
	Force         bool      `parser:"@'FORCE'?"`
}

// Traits returns the traits of DROP ARCHIVE.
func (*DropArchive) Traits() Traits { return defines("DROP ARCHIVE") }

func (*DropArchive) names() []string { return []string{"DROP ARCHIVE"} }

// VerifyArchive is VERIFY ARCHIVE t [PARTITIONS (..)] [DEEP | AGAINST SOURCE]. Only the Partitions of the scan may
// be set.
type VerifyArchive struct {
	Origin
	Topic   TopicName `parser:"'VERIFY' 'ARCHIVE' @@"`
	Scan    Scan      `parser:"@@"`
	Deep    bool      `parser:"( @'DEEP'"`
	Against bool      `parser:"| 'AGAINST' @'SOURCE' )?"`
}

// Traits returns the traits of VERIFY ARCHIVE.
func (*VerifyArchive) Traits() Traits { return defines("VERIFY ARCHIVE") }

func (*VerifyArchive) names() []string { return []string{"VERIFY ARCHIVE"} }

// RepairArchive is REPAIR ARCHIVE t [PARTITIONS (..)] [DRY RUN] [ACCEPT LOSS]. Only the Partitions of the scan may
// be set.
type RepairArchive struct {
	Origin
	Topic      TopicName `parser:"'REPAIR' 'ARCHIVE' @@"`
	Scan       Scan      `parser:"@@"`
	DryRun     bool      `parser:"('DRY' @'RUN')?"`
	AcceptLoss bool      `parser:"('ACCEPT' @'LOSS')?"`
}

// Traits returns the traits of REPAIR ARCHIVE.
func (*RepairArchive) Traits() Traits { return defines("REPAIR ARCHIVE") }

func (*RepairArchive) names() []string { return []string{"REPAIR ARCHIVE"} }

// ExpireArchive is EXPIRE ARCHIVE t [PARTITIONS (..)] {OLDER THAN interval | BEFORE OFFSET n} [FORCE]. Exactly one
// of Older and Before is set. Only the Partitions of the scan may be set.
type ExpireArchive struct {
	Origin
	Topic  TopicName `parser:"'EXPIRE' 'ARCHIVE' @@"`
	Scan   Scan      `parser:"@@"`
	Older  *Interval `parser:"( 'OLDER' 'THAN' @@"`
	Before *Count    `parser:"| 'BEFORE' 'OFFSET' @@ )"`
	Force  bool      `parser:"@'FORCE'?"`
}

// Traits returns the traits of EXPIRE ARCHIVE.
func (*ExpireArchive) Traits() Traits { return defines("EXPIRE ARCHIVE") }

func (*ExpireArchive) names() []string { return []string{"EXPIRE ARCHIVE"} }
