package streamql_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/topic"
)

// write writes records without encoding them, to partition 0 of a topic.
func write(t *testing.T, e *streamql.Engine, name string, values ...string) {
	t.Helper()
	ctx := context.Background()
	txn, err := e.Broker().Begin(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := txn.Write(topic.Partition{Topic: name}, topic.Record{Key: []byte("k"), Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := txn.Commit(ctx, nil); err != nil {
		t.Fatal(err)
	}
}

// refused runs a statement that must fail with a code and a position, and whose message contains some words.
func refused(t *testing.T, e *streamql.Engine, text, code string, words ...string) *streamql.Error {
	t.Helper()
	err := e.Exec(context.Background(), text)
	var got *streamql.Error
	if !errors.As(err, &got) {
		t.Fatalf("%s\ngave %v, want %s", text, err, code)
	}
	if got.Code != code {
		t.Errorf("%s\ngave %v, want %s", text, got, code)
	}
	for _, w := range words {
		if !strings.Contains(got.Error()+got.Hint, w) {
			t.Errorf("%s\nreturned %q, which does not contain %q", text, got, w)
		}
	}
	return got
}

// TestDeadLetters sends records that cannot be decoded through a job. They are counted and stored with their
// offsets, and nothing else is lost.
func TestDeadLetters(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (k STRING KEY, a INT, b DOUBLE) WITH (topic='s', value_format='json');
		CREATE STREAM good AS SELECT k, a, b FROM s;`)
	write(t, e, "s", `{"a":1,"b":1.5}`, `{"a":1,`, `not json`, `{"a":"text","b":1}`, `{"a":99999999999,"b":1}`,
		`{"a":2,"b":[1]}`, `[]`, `{"a":2,"b":2.5}`)
	wait(t, e, `SELECT a, b FROM good`, "1 1.5\n2 2.5\n")
	wait(t, e, `SELECT COUNT(*) AS n FROM streamql.errors`, "6\n")
	got := result(t, e, `SELECT code, source, side, topic, "partition", "offset" FROM streamql.errors ORDER BY "offset"`)
	want := ""
	for _, o := range []string{"1", "2", "3", "4", "5", "6"} {
		want += "SQ5102 s value s 0 " + o + "\n"
	}
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := result(t, e, `SELECT FROM_BYTES(value, 'utf8') AS v FROM streamql.errors WHERE "offset" = 2`); got != "not json\n" {
		t.Errorf("the dead letter contains %q", got)
	}
}

// TestOnError tests the options for bad records.
func TestOnError(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM skipped (a INT) WITH (topic='s', value_format='json', on_error='skip');
		CREATE STREAM failing (a INT) WITH (topic='s', value_format='json', on_error='fail');`)
	write(t, e, "s", `{"a":1}`, `{`, `{"a":2}`)
	if got := result(t, e, `SELECT a FROM skipped`); got != "1\n2\n" {
		t.Errorf("skip gave %q", got)
	}
	refused(t, e, `SELECT a FROM failing`, "SQ4000", "offset 1", "could not be decoded")
}

// TestRowsThatFail evaluates expressions without a result. Each is NULL, and is counted in the errors.
func TestRowsThatFail(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM s (a INT, b INT) WITH (topic='s', value_format='json');
		CREATE STREAM q AS SELECT a / b AS q FROM s;`)
	write(t, e, "s", `{"a":6,"b":3}`, `{"a":6,"b":0}`, `{"a":1,"b":0}`, `{"a":6,"b":2}`)
	wait(t, e, `SELECT q FROM q`, "2\n<nil>\n<nil>\n3\n")
	wait(t, e, `SELECT code, SUM(count) AS n FROM streamql.errors GROUP BY code`, "SQ4001 2\n")
}

func TestNames(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM cars (car STRING KEY, coolant_temp DOUBLE) WITH (topic='cars', value_format='json');`)
	got := refused(t, e, "SELECT car,\n  cooland_temp FROM cars;", "SQ2003", "cooland_temp",
		`did you mean "coolant_temp" (DOUBLE)?`)
	if got.Pos.Line != 2 || got.Pos.Col != 3 || got.Len != len("cooland_temp") {
		t.Errorf("the place is %v, %d runes", got.Pos, got.Len)
	}
	refused(t, e, `SELECT * FROM carz;`, "SQ2001", `did you mean "cars"?`)
	refused(t, e, `SELECT UPER(car) FROM cars;`, "SQ2005", "did you mean UPPER?")
	refused(t, e, `SELECT car + 1 FROM cars;`, "SQ2006", "STRING")
	refused(t, e, `CREATE STREAM cars (a INT) WITH (topic='x');`, "SQ2002", "exists")
	refused(t, e, `CREATE STREAM x (a INT) WITH (topik='x');`, "SQ2012", "did you mean topic?")
	refused(t, e, `CREATE STREAM x (a INTT) WITH (topic='x');`, "SQ2011", "did you mean INT?")
	refused(t, e, `CREATE STREAM x (a INT) WITH (topic='x', value_format='JSOM');`, "SQ2017", "JSON")
	refused(t, e, `SELECT a.car FROM cars c JOIN cars d WITHIN 1 HOUR ON c.car = d.car;`, "SQ3001", "JOIN")
	refused(t, e, `SELECT car FROM cars ORDER BY car EMIT CHANGES;`, "SQ3010", "ends")
	refused(t, e, `SELECT coolant_temp, COUNT(*) FROM cars GROUP BY car;`, "SQ2009", "GROUP BY")
	refused(t, e, `TERMINATE nothing;`, "SQ2023", "nothing")
	refused(t, e, `SELECT car FROM cars PARTITIONS (7) SINCE EARLIEST UNTIL NOW;`, "SQ2021", "partitions")
}

func TestModelsThatFail(t *testing.T) {
	e := open(t)
	exec(t, e, `CREATE STREAM s (a DOUBLE, b DOUBLE, c STRING) WITH (topic='s', value_format='json');`)
	refused(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='kmeans', k=2);`, "SQ6201",
		"no usable row")
	exec(t, e, `DROP MODEL m;`)
	write(t, e, "s", `{"a":1,"b":2,"c":"x"}`, `{"a":2,"b":1,"c":"y"}`, `{"a":null,"b":1,"c":"y"}`,
		`{"a":"NaN","b":1,"c":"x"}`, `{"a":"Infinity","b":1,"c":"x"}`, `{"a":3,"b":3,"c":"x"}`)
	refused(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='kmean');`, "SQ6009",
		"did you mean kmeans?")
	var wrong *streamql.Error
	if err := e.Exec(t.Context(),
		`CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='forest fire');`); !errors.As(err, &wrong) ||
		wrong.Code != "SQ6009" || !strings.Contains(wrong.Hint, "autoencoder, ") || !strings.Contains(wrong.Hint, "kmeans") {
		t.Errorf("%v", err)
	}
	refused(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='kmeans', kk=2);`, "SQ6009", "kk")
	refused(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='autoencoder', layers='7:tahn');`,
		"SQ6010", "layers")
	refused(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='logistic_regression');`, "SQ6008",
		"TARGET")
	refused(t, e, `CREATE MODEL m TRANSFORM (a, c) TARGET c FROM s TRAIN ONCE WITH (type='logistic_regression');`,
		"SQ6008", "TRANSFORM")
	refused(t, e, `CREATE MODEL m TRANSFORM (ML_STANDARD_SCALE(a)) FROM s TRAIN ONCE WITH (type='kmeans');`, "SQ6009",
		"ML_STANDARD_SCALER")
	exec(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='kmeans', k=2);`)
	if got := result(t, e, `SELECT version, status, rows FROM m`); got != "1 READY 3\n" {
		t.Errorf("the model has %q: rows with NULL, NaN and Infinity are not to be learned", got)
	}
	if got := result(t, e, `SELECT CLUSTER(m, *) IS NULL AS c FROM s`); got != "false\nfalse\ntrue\ntrue\ntrue\nfalse\n" {
		t.Errorf("rows with a missing feature have no cluster: %q", got)
	}
	refused(t, e, `SELECT PREDICT(n, *) FROM s;`, "SQ6001", "does not exist")
	refused(t, e, `SELECT CLUSTER(m, a) FROM s;`, "SQ6004", "b (DOUBLE) is missing")
	refused(t, e, `SELECT CLUSTER(m, *) FROM (SELECT a FROM s);`, "SQ6004", "b (DOUBLE) is missing")
	refused(t, e, `SELECT CLUSTER(m, c, c) FROM s;`, "SQ6005", "STRING")
	refused(t, e, `SELECT PREDICT_PROBA(m, *) FROM s;`, "SQ6006", "kmeans")
	refused(t, e, `SELECT CLUSTER(m$7, *) FROM s;`, "SQ6003", "7")
}

// TestCorruptModel damages the records of a version. The last valid version serves, and the damaged one has
// an error.
func TestCorruptModel(t *testing.T) {
	dir := t.TempDir()
	run := func(f func(*streamql.Engine)) {
		e, err := streamql.Open(context.Background(), streamql.WithDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		f(e)
	}
	run(func(e *streamql.Engine) {
		exec(t, e, `CREATE STREAM s (a DOUBLE, b DOUBLE) WITH (topic='s', value_format='json');`)
		write(t, e, "s", `{"a":1,"b":2}`, `{"a":5,"b":6}`, `{"a":1.5,"b":2}`)
		exec(t, e, `CREATE MODEL m TRANSFORM (a, b) FROM s TRAIN ONCE WITH (type='kmeans', k=2); RETRAIN MODEL m;`)
		if got := result(t, e, `SELECT DISTINCT_V FROM (SELECT MAX(MODEL_VERSION(m, *)) AS DISTINCT_V FROM s)`); got != "2\n" {
			t.Fatalf("version %s serves, want 2", got)
		}
		ctx := context.Background()
		txn, err := e.Broker().Begin(ctx, "test")
		if err != nil {
			t.Fatal(err)
		}
		p := topic.Partition{Topic: "streamql.model.m"}
		for _, r := range []topic.Record{{Key: []byte("v/00000003/0000"), Value: []byte("nonsense")},
			{Key: []byte("v/00000003/manifest"),
				Value: []byte(`{"format":1,"model":"m","version":3,"type":"kmeans","payload":{"codec":"zstd","bytes":8,"chunks":1,"sha256":"00"}}`)}} {
			if err := txn.Write(p, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := txn.Commit(ctx, nil); err != nil {
			t.Fatal(err)
		}
	})
	run(func(e *streamql.Engine) {
		if got := result(t, e, `SELECT version, status FROM m`); got != "1 READY\n2 READY\n3 CORRUPT\n" {
			t.Errorf("the versions are\n%s", got)
		}
		if got := result(t, e, `SELECT MODEL_VERSION(m, *) AS v FROM s`); got != "2\n2\n2\n" {
			t.Errorf("versions %q serve, want 2", got)
		}
		err := e.Exec(context.Background(), `SELECT CLUSTER(m$3, *) FROM s`)
		if err == nil || !strings.Contains(err.Error(), "SQ630") {
			t.Errorf("the corrupt version gave %v", err)
		}
	})
}

func TestFilesThatFail(t *testing.T) {
	e := open(t)
	refused(t, e, `CREATE STREAM f (a INT) WITH (connector='files', path='/nowhere/at/all.csv');`, "SQ5003",
		"/nowhere/at/all.csv")
	refused(t, e, `CREATE STREAM f (a INT) WITH (connector='file', path='x');`, "SQ5001", "files")
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte("a,b\n1,x\ntwo,y\n3,\"z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exec(t, e, `CREATE STREAM f (a INT, b STRING) WITH (connector='files', path='`+path+`', format='csv');`)
	if got := result(t, e, `SELECT a, b FROM f`); got != "1 x\n" {
		t.Errorf("the good rows are %q", got)
	}
}

// TestSecondProcess opens a directory twice.
func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	e, err := streamql.Open(context.Background(), streamql.WithDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = streamql.Open(context.Background(), streamql.WithDir(dir))
	var got *streamql.Error
	if !errors.As(err, &got) || got.Code != "SQ7002" || !strings.Contains(got.Msg, "process") {
		t.Errorf("the second gave %v", err)
	}
}
