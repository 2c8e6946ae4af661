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

// AlterArchive is ALTER ARCHIVE t SET ('k' = 'v', ..).
type AlterArchive struct {
	Origin
	Topic TopicName  `parser:"'ALTER' 'ARCHIVE' @@"`
	Set   []*Setting `parser:"'SET' '(' @@ (',' @@)* ')'"`
}

// ControlArchive is PAUSE or RESUME ARCHIVE t.
type ControlArchive struct {
	Origin
	Verb  Keyword   `parser:"@('PAUSE' | 'RESUME') 'ARCHIVE'"`
	Topic TopicName `parser:"@@"`
}

// DropArchive is DROP ARCHIVE t [DELETE OBJECTS] [FORCE].
type DropArchive struct {
	Origin
	Topic         TopicName `parser:"'DROP' 'ARCHIVE' @@"`
	DeleteObjects bool      `parser:"('DELETE' @'OBJECTS')?"`
	Force         bool      `parser:"@'FORCE'?"`
}

// VerifyArchive is VERIFY ARCHIVE t [PARTITIONS (..)] [DEEP | AGAINST SOURCE]. Of the scan only Partitions may be set.
type VerifyArchive struct {
	Origin
	Topic   TopicName `parser:"'VERIFY' 'ARCHIVE' @@"`
	Scan    Scan      `parser:"@@"`
	Deep    bool      `parser:"( @'DEEP'"`
	Against bool      `parser:"| 'AGAINST' @'SOURCE' )?"`
}

// RepairArchive is REPAIR ARCHIVE t [PARTITIONS (..)] [DRY RUN] [ACCEPT LOSS]. Of the scan only Partitions may be set.
type RepairArchive struct {
	Origin
	Topic      TopicName `parser:"'REPAIR' 'ARCHIVE' @@"`
	Scan       Scan      `parser:"@@"`
	DryRun     bool      `parser:"('DRY' @'RUN')?"`
	AcceptLoss bool      `parser:"('ACCEPT' @'LOSS')?"`
}

// ExpireArchive is EXPIRE ARCHIVE t [PARTITIONS (..)] {OLDER THAN interval | BEFORE OFFSET n} [FORCE]. Exactly one of Older and
// Before is set; of the scan only Partitions may be.
type ExpireArchive struct {
	Origin
	Topic  TopicName `parser:"'EXPIRE' 'ARCHIVE' @@"`
	Scan   Scan      `parser:"@@"`
	Older  *Interval `parser:"( 'OLDER' 'THAN' @@"`
	Before *Count    `parser:"| 'BEFORE' 'OFFSET' @@ )"`
	Force  bool      `parser:"@'FORCE'?"`
}
