package lang

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// Synonym is a word of another SQL system: a function that is bound to ours, or a word with a hint at our form.
type Synonym struct {
	Ours string // the function that it calls; empty: it is refused with the hint
	Hint string
}

// Synonyms maps words that users of PostgreSQL, DuckDB, Flink, BigQuery and ksqlDB write, in upper case. A function of
// the engine or the user that has such a name is preferred.
var Synonyms = map[string]Synonym{
	// functions with the same arguments
	"ANY_VALUE":           {Ours: "LATEST_BY_OFFSET"},
	"APPROX_PERCENTILE":   {Ours: "APPROX_QUANTILE"},
	"ARRAY_AGG":           {Ours: "COLLECT_LIST"},
	"ARRAY_SIZE":          {Ours: "ARRAY_LENGTH"},
	"ARRAY_TO_STRING":     {Ours: "ARRAY_JOIN"},
	"CARDINALITY":         {Ours: "ARRAY_LENGTH"},
	"CEILING":             {Ours: "CEIL"},
	"CHARACTER_LENGTH":    {Ours: "LEN"},
	"CHAR_LENGTH":         {Ours: "LEN"},
	"CURRENT_TIMESTAMP":   {Ours: "NOW"},
	"GENERATE_UUID":       {Ours: "UUID"},
	"GEN_RANDOM_UUID":     {Ours: "UUID"},
	"JSON_EXTRACT_STRING": {Ours: "EXTRACTJSONFIELD"},
	"JSON_VALUE":          {Ours: "EXTRACTJSONFIELD"},
	"LOCALTIMESTAMP":      {Ours: "NOW"},
	"NVL":                 {Ours: "IFNULL"},
	"POW":                 {Ours: "POWER"},
	"RAND":                {Ours: "RANDOM"},
	"STRING_SPLIT":        {Ours: "SPLIT"},
	"STRING_TO_ARRAY":     {Ours: "SPLIT"},
	"STRPOS":              {Ours: "INSTR"},
	"SUBSTR":              {Ours: "SUBSTRING"},
	"TO_JSON":             {Ours: "TO_JSON_STRING"},
	"UNNEST":              {Ours: "EXPLODE"},

	// functions with a form of their own
	"ARRAY_POSITION":  {Hint: "ARRAY_CONTAINS(a, x) tests for an element"},
	"CURRENT_DATE":    {Hint: "write CAST(NOW() AS DATE)"},
	"CURRENT_TIME":    {Hint: "write CAST(NOW() AS TIME)"},
	"DATEDIFF":        {Hint: "subtract UNIX_TIMESTAMP(b) from UNIX_TIMESTAMP(a), in milliseconds; UNIX_DATE counts days"},
	"DATE_ADD":        {Hint: "write t + INTERVAL 1 DAY, or TIMESTAMPADD(DAYS, 1, t)"},
	"DATE_DIFF":       {Hint: "subtract UNIX_TIMESTAMP(b) from UNIX_TIMESTAMP(a), in milliseconds; UNIX_DATE counts days"},
	"DATE_SUB":        {Hint: "write t - INTERVAL 1 DAY, or TIMESTAMPSUB(DAYS, 1, t)"},
	"EPOCH_MS":        {Hint: "UNIX_TIMESTAMP(t) makes milliseconds, FROM_UNIXTIME(ms) makes a TIMESTAMP"},
	"FIRST":           {Hint: "write EARLIEST_BY_OFFSET(x)"},
	"FIRST_VALUE":     {Hint: "write EARLIEST_BY_OFFSET(x)"},
	"GROUP_CONCAT":    {Hint: joined},
	"HOP":             {Hint: "write WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 5 MINUTES) after FROM"},
	"IF":              {Hint: "write CASE WHEN condition THEN a ELSE b END"},
	"IIF":             {Hint: "write CASE WHEN condition THEN a ELSE b END"},
	"ISNULL":          {Hint: "write x IS NULL, or IFNULL(x, y)"},
	"LAG":             {Hint: "LATEST_BY_OFFSET(x, 2) is an ARRAY of the last two values"},
	"LAST":            {Hint: "write LATEST_BY_OFFSET(x)"},
	"LAST_VALUE":      {Hint: "write LATEST_BY_OFFSET(x)"},
	"LEFT":            {Hint: "write SUBSTRING(x, 1, n)"},
	"LISTAGG":         {Hint: joined},
	"MEDIAN":          {Hint: "write APPROX_QUANTILE(x, 0.5)"},
	"PERCENTILE_CONT": {Hint: "write APPROX_QUANTILE(x, share)"},
	"POSITION":        {Hint: "write INSTR(text, part)"},
	"REGEXP_LIKE":     {Hint: "write REGEXP_EXTRACT(pattern, x) IS NOT NULL"},
	"REGEXP_MATCHES":  {Hint: "write REGEXP_EXTRACT(pattern, x) IS NOT NULL"},
	"RIGHT":           {Hint: "write SUBSTRING(x, -n)"},
	"STARTS_WITH":     {Hint: "write x LIKE 'start%'"},
	"STRFTIME":        {Hint: "write FORMAT_TIMESTAMP(t, 'yyyy-MM-dd')"},
	"STRING_AGG":      {Hint: joined},
	"STRPTIME":        {Hint: parsed},
	"TO_CHAR":         {Hint: "write FORMAT_TIMESTAMP(t, 'yyyy-MM-dd'), or CAST(x AS STRING)"},
	"TO_DATE":         {Hint: "write PARSE_DATE(text, 'yyyy-MM-dd'), or CAST(text AS DATE)"},
	"TO_TIMESTAMP":    {Hint: parsed},
	"TUMBLE":          {Hint: "write WINDOW TUMBLING (SIZE 1 HOUR) after FROM"},

	// constructs
	"CREATE MODEL .. AS": {Hint: "write CREATE MODEL m TARGET column FROM (SELECT ..) TRAIN ONCE WITH (type='..')"},
	"CREATE SINK":        {Hint: "CREATE STREAM name WITH (topic='..') AS SELECT .. writes to a topic"},
	"CREATE SOURCE":      {Hint: "CREATE STREAM name (..) WITH (topic='..') is a source"},
	"ML_PREDICT":         {Hint: "write SELECT *, PREDICT(m, *) FROM t"},

	// words of statements and clauses
	"COLUMNS":       {Hint: "DESCRIBE name lists the columns of a stream or table"},
	"DATABASES":     {Hint: "SHOW STREAMS and SHOW TABLES list what there is; there are no databases"},
	"DELETE":        {Hint: "INSERT INTO a table with NULL in all other columns, or DROP the table"},
	"ILIKE":         {Hint: "write LCASE(x) LIKE 'pattern'"},
	"INDEX":         {Hint: "a table has an index on its key"},
	"MATERIALIZED":  {Hint: "CREATE TABLE name AS SELECT .. is a materialized view"},
	"MERGE":         {Hint: "INSERT INTO a table replaces the row of its key"},
	"QUALIFY":       {Hint: "put the query in FROM (..) and write WHERE outside"},
	"RLIKE":         {Hint: "write REGEXP_EXTRACT(pattern, x) IS NOT NULL"},
	"TRUNCATE":      {Hint: "DROP the table and CREATE it again"},
	"UPDATE":        {Hint: "INSERT INTO a table replaces the row of its key"},
	"USE":           {Hint: "there is one namespace; --name and --dir select an application"},
	"VALUES":        {Hint: "SELECT without FROM returns one row: SELECT 1 AS a"},
	"VIEW":          {Hint: "CREATE STREAM name AS SELECT .. or CREATE TABLE name AS SELECT .."},
	"WATERMARK FOR": {Hint: "stream time needs no watermark: name the column in WITH (timestamp='..'), and lateness in GRACE PERIOD"},
}

const (
	joined = "write ARRAY_JOIN(COLLECT_LIST(x), ', ')"
	parsed = "write PARSE_TIMESTAMP(text, 'yyyy-MM-dd HH:mm:ss'), CAST(text AS TIMESTAMP) or FROM_UNIXTIME(ms)"
)

// construct returns a hint at our form of the two words before a position, or "".
func construct(tokens []lexer.Token, at Pos) string {
	for i := 2; i < len(tokens); i++ {
		if position(tokens[i].Pos) == at {
			return Instead(tokens[i-2].Value + " " + tokens[i-1].Value)
		}
	}
	return ""
}

// Ours returns the function of the engine that a function of another system is bound to.
func Ours(function string) (string, bool) {
	s := Synonyms[strings.ToUpper(function)]
	return s.Ours, s.Ours != ""
}

// Instead returns a hint at our form of a word, or "".
func Instead(word string) string { return Synonyms[strings.ToUpper(word)].Hint }
