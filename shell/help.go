package shell

// Topic is a statement's entry in \h.
type Topic struct{ Name, Doc, Syntax, Example string }

// Help is what \h knows. The examples can all be run one after the other.
var Help = []Topic{
	{"CREATE STREAM", "a stream over a topic, files or a generator",
		"CREATE [OR REPLACE] STREAM [IF NOT EXISTS] name (column type [KEY], ..) WITH (topic='..', format='json', ..)\n" +
			"connector='..' reads elsewhere: SHOW CONNECTORS lists where, DESCRIBE CONNECTOR the options; most find the columns themselves",
		"CREATE STREAM payments WITH (connector='generator', kind='fraud', rows=1000);"},
	{"CREATE TABLE", "a table: the newest row of each key",
		"CREATE TABLE name (column type PRIMARY KEY, ..) WITH (topic='..', ..)",
		"CREATE TABLE limits (card STRING PRIMARY KEY, amount DOUBLE) WITH (topic='limits', format='json');"},
	{"CREATE AS SELECT", "a stream or table that a query fills, as a job",
		"CREATE {STREAM | TABLE} name [WITH (..)] AS SELECT ..",
		"CREATE STREAM large AS SELECT card, amount FROM payments WHERE amount > 500;"},
	{"INSERT", "rows, or the rows of a query as a job",
		"INSERT INTO name [(column, ..)] VALUES (value, ..), ..\nINSERT INTO name SELECT ..",
		"INSERT INTO limits (card, amount) VALUES ('card-0001', 900.0);"},
	{"SELECT", "rows: without EMIT those there are now, with EMIT CHANGES those to come",
		"SELECT expression [AS name], .. FROM source [SINCE point] [UNTIL point] [WINDOW ..] [WHERE ..]\n[GROUP BY ..] [HAVING ..] [EMIT CHANGES] [ORDER BY ..] [LIMIT n]\npoint: EARLIEST, NOW, OFFSET n, TIMESTAMP '..', 7 DAYS AGO",
		"SELECT country, COUNT(*) AS n FROM payments GROUP BY country ORDER BY n DESC LIMIT 3;"},
	{"CREATE MODEL", "a model, trained by a query",
		"CREATE MODEL name [TRANSFORM (expression, ..)] [TARGET column] FROM (SELECT ..)\n[WINDOW ..] TRAIN {ONCE | EACH WINDOW | EACH EVENT} WITH (type='..', ..)",
		"CREATE MODEL spread TRANSFORM (amount, hour) FROM (SELECT * FROM payments SINCE EARLIEST UNTIL NOW) TRAIN ONCE WITH (type='kmeans', k=3, seed=1);"},
	{"RETRAIN MODEL", "another version of a model, from other rows",
		"RETRAIN MODEL name [SINCE point] [UNTIL point]",
		"RETRAIN MODEL spread SINCE EARLIEST UNTIL NOW;"},
	{"EXPLAIN", "the plan of a statement, with the offsets it would read", "EXPLAIN statement",
		"EXPLAIN SELECT card, amount FROM payments WHERE hour < 6;"},
	{"DESCRIBE", "columns, a function, a model, or the options of a connector or format",
		"DESCRIBE name [EXTENDED]\nDESCRIBE {FUNCTION | MODEL | CONNECTOR | FORMAT} name", "DESCRIBE payments;"},
	{"SHOW", "what there is",
		"SHOW {STREAMS | TABLES | TOPICS | JOBS | MODELS | FUNCTIONS | CONNECTORS | FORMATS | TYPES | PROPERTIES | VARIABLES}", "SHOW STREAMS;"},
	{"PRINT", "the records of a topic as they are", "PRINT topic [FROM BEGINNING] [LIMIT n]", "PRINT 'limits' FROM BEGINNING LIMIT 1;"},
	{"SET", "a property of the queries after it", "SET 'property'='value'\nUNSET 'property'", "SET 'auto.offset.reset'='earliest';"},
	{"DEFINE", "the value that ${name} stands for", "DEFINE name = 'value'\nUNDEFINE name", "DEFINE least = '100';"},
	{"PAUSE", "stops a job until it is resumed; it keeps its place, also across restarts", "PAUSE {job | ALL}", "PAUSE ALL;"},
	{"RESUME", "lets a job go on that is PAUSED or FAILED",
		"RESUME {job | ALL} [FROM STATE | FROM OFFSETS]\nwithout FROM: from its last commit\nFROM STATE: where its state is, whatever its group's positions are\nFROM OFFSETS: where its group's positions are, in the topics as they are now",
		"RESUME ALL;"},
	{"RESTART", "starts a job again that has failed", "RESTART {job | ALL}", "RESTART ALL;"},
	{"TERMINATE", "ends a job", "TERMINATE {job | ALL}", "TERMINATE ALL;"},
	{"DROP", "removes a stream, table or model", "DROP {STREAM | TABLE} [IF EXISTS] name [DELETE TOPIC]\nDROP MODEL name", "DROP MODEL spread;"},
}
