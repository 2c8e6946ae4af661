package http_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"go.uber.org/goleak"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/server/http"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started returns an engine in memory with a stream s and a table sums, and a server over it.
func started(t *testing.T, change ...func(*http.Options, *http.Handler)) (*http.Server, *streamql.Engine) {
	t.Helper()
	e, err := streamql.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	err = e.Exec(context.Background(), `SET 'auto.offset.reset'='earliest';
		CREATE STREAM s (id STRING KEY, v INT, x DOUBLE) WITH (topic='s', format='json', partitions=2);
		CREATE TABLE sums AS SELECT id, SUM(v) AS total FROM s GROUP BY id;
		INSERT INTO s VALUES ('a', 1, 0.5), ('b', 10, NULL), ('a', 2, 1e10);`)
	if err != nil {
		t.Fatal(err)
	}
	o, h := http.Options{Address: "127.0.0.1:0"}, http.Over(e)
	for _, f := range change {
		f(&o, h)
	}
	s, err := http.Listen(o, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		nethttp.DefaultClient.CloseIdleConnections()
	})
	settle(t, s)
	return s, e
}

// settle waits until the table has its rows.
func settle(t *testing.T, s *http.Server) {
	for range 200 {
		_, body, _ := post(t, s, "/v1/query", `{"sql":"SELECT total FROM sums WHERE id = 'a';"}`, "Accept", "text/csv",
			"Authorization", "Bearer "+token)
		if body == "total\r\n3\r\n" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the table does not fill")
}

const token = "canary-271828"

// ask sends a request and returns the response, whose body is unread.
func ask(t *testing.T, ctx context.Context, s *http.Server, verb, path, body string,
	headers ...string) *nethttp.Response {
	t.Helper()
	r, err := nethttp.NewRequestWithContext(ctx, verb, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	got, err := nethttp.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func post(t *testing.T, s *http.Server, path, body string, headers ...string) (status int, text, kind string) {
	t.Helper()
	got := ask(t, context.Background(), s, nethttp.MethodPost, path, body, headers...)
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return got.StatusCode, string(raw), got.Header.Get("Content-Type")
}

// sql is a request's body.
func sql(text string, more ...string) string {
	raw, _ := json.Marshal(text)
	return `{"properties":{"auto.offset.reset":"earliest"},"sql":` + string(raw) + strings.Join(append([]string{""},
		more...), ",") + `}`
}

func TestFormats(t *testing.T) {
	s, _ := started(t)
	const q = "SELECT id, v, x, ROWTIME > 0 AS t FROM s WHERE id = 'a' LIMIT 2;"
	for _, c := range []struct{ name, accept, body, kind, want string }{
		{"a document", "application/json", sql(q), "application/json",
			`{"columns":[{"name":"id","type":"STRING","key":true},{"name":"v","type":"INTEGER"},{"name":"x","type":"DOUBLE"},{"name":"t","type":"BOOLEAN"}],"rows":[` + "\n" +
				` ["a",1,0.5,true],` + "\n" + ` ["a",2,1.0E10,true]]}` + "\n"},
		{"anything", "*/*", sql("SELECT total FROM sums WHERE id = 'b';"), "application/json",
			`{"columns":[{"name":"total","type":"INTEGER"}],"rows":[` + "\n [10]]}\n"},
		{"no header", "", sql("SELECT total FROM sums WHERE id = 'b';"), "application/json",
			`{"columns":[{"name":"total","type":"INTEGER"}],"rows":[` + "\n [10]]}\n"},
		{"lines", "application/x-ndjson", sql("SELECT v, x FROM s WHERE id = 'b' LIMIT 1;"), "application/x-ndjson",
			`{"v":10,"x":null}` + "\n"},
		{"the first that is known", "text/html, text/csv;q=0.9, application/json", sql("SELECT 1 AS one, 'a,\"b' AS t;"),
			"text/csv; charset=utf-8; header=present", "one,t\r\n1,\"a,\"\"b\"\r\n"},
		{"one that is refused", "application/json;q=0, text/csv", sql("SELECT 1 AS one;"),
			"text/csv; charset=utf-8; header=present", "one\r\n1\r\n"},
		{"no rows", "application/json", sql("SELECT total FROM sums WHERE id = 'none';"), "application/json",
			`{"columns":[{"name":"total","type":"INTEGER"}],"rows":[]}` + "\n"},
		{"a limit", "text/csv", sql("SELECT id, total FROM sums ORDER BY id;", `"limit":1`),
			"text/csv; charset=utf-8; header=present", "id,total\r\na,3\r\n"},
		{"a limit of nothing", "text/csv", sql("SELECT id, total FROM sums;", `"limit":0`),
			"text/csv; charset=utf-8; header=present", "id,total\r\n"},
		{"arguments", "text/csv", sql("SELECT $1 AS n, $2 AS f, $3 AS t, $4 AS b, $5 AS z;",
			`"args":[7, 1.5, "it's", true, null]`), "text/csv; charset=utf-8; header=present",
			"n,f,t,b,z\r\n7,1.5,it's,true,\r\n"},
		{"what SHOW says", "text/csv", sql("SHOW TABLES;"), "text/csv; charset=utf-8; header=present",
			"name,topic,key_format,value_format,columns\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text, kind := post(t, s, "/v1/query", c.body, "Accept", c.accept)
			if status != 200 || kind != c.kind || text != c.want && !(strings.Contains(c.body, `"sql":"SHOW`) &&
				strings.HasPrefix(text, c.want)) {
				t.Errorf("%d, %s, got\n%q, want\n%q", status, kind, text, c.want)
			}
			if kind == "application/json" && !json.Valid([]byte(text)) {
				t.Error("this is no JSON")
			}
		})
	}
}

func TestArrow(t *testing.T) {
	s, _ := started(t)
	for _, c := range []struct {
		sql  string
		rows int64
		want string
	}{
		{"SELECT id, total FROM sums;", 2, `id: type=utf8, nullable`},
		{"SELECT v FROM s WHERE v > 1000 LIMIT 1 ;", 0, `v: type=int32, nullable`},
		{"SELECT id, COUNT(*) AS n FROM s GROUP BY id EMIT CHANGES LIMIT 2;", 2, `_op: type=utf8`},
	} {
		if c.rows == 0 { // a scan that ends
			c.sql = "SELECT total AS v FROM sums WHERE total > 1000;"
		}
		got := ask(t, context.Background(), s, nethttp.MethodPost, peer.QueryPath, sql(c.sql), "Accept", peer.ArrowStream)
		r, err := ipc.NewReader(got.Body)
		if err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
		n := int64(0)
		for r.Next() {
			n += r.Record().NumRows()
			if ops, ok := r.Record().Column(0).(*array.String); ok && r.Schema().Field(0).Name == "_op" &&
				ops.Value(0) != "upsert" {
				t.Errorf("_op is %s", ops.Value(0))
			}
		}
		if r.Err() != nil || n != c.rows || !strings.Contains(r.Schema().String(), c.want) {
			t.Errorf("%s: %d rows, %v, %v", c.sql, n, r.Err(), r.Schema())
		}
		got.Body.Close()
	}
}

func TestStatements(t *testing.T) {
	s, e := started(t)
	status, text, _ := post(t, s, "/v1/exec", sql("INSERT INTO s VALUES ('c', $1, 0); SHOW TABLES;", `"args":[5]`))
	if want := `{"messages":["1 rows inserted into s","1 rows"]}` + "\n"; status != 200 || text != want {
		t.Errorf("%d, got %s, want %s", status, text, want)
	}
	status, text, _ = post(t, s, "/v1/exec", sql("PRINT s FROM BEGINNING LIMIT 2; SELECT id FROM s EMIT CHANGES LIMIT 1;"))
	if want := `{"messages":["2 rows","1 rows"]}` + "\n"; status != 200 || text != want {
		t.Errorf("rows that LIMIT bounds: %d, got %s, want %s", status, text, want)
	}
	status, text, _ = post(t, s, "/v1/query", sql("DROP TABLE sums;"))
	if status != 400 || !strings.Contains(text, `"SQ3015"`) {
		t.Errorf("a statement without rows: %d %s", status, text)
	}
	if _, ok := e.Catalog().Relation("sums", false); !ok {
		t.Error("it was refused, and done all the same")
	}
	got := ask(t, context.Background(), s, nethttp.MethodGet, "/v1/jobs", "")
	defer got.Body.Close()
	var jobs struct{ Rows [][]any }
	if err := json.NewDecoder(got.Body).Decode(&jobs); err != nil || len(jobs.Rows) != 1 ||
		jobs.Rows[0][0] != "CTAS_sums_0" || jobs.Rows[0][3] != "RUNNING" {
		t.Errorf("jobs: %v %v", jobs, err)
	}
}

func TestBadRequests(t *testing.T) {
	s, _ := started(t)
	for _, c := range []struct {
		name, verb, path, body string
		status                 int
		want                   string
	}{
		{"no JSON", "POST", "/v1/query", `x`, 400, `"SQ1105"`},
		{"nothing", "POST", "/v1/query", ``, 400, `the body is empty`},
		{"no object", "POST", "/v1/query", `[1]`, 400, `got a JSON array for the object`},
		{"a field of another type", "POST", "/v1/query", `{"sql":3}`, 400, `got a JSON number for sql`},
		{"a field there is not", "POST", "/v1/query", `{"sql":"SELECT 1;","lmit":3}`, 400, `unknown field \"lmit\"`},
		{"two objects", "POST", "/v1/query", `{"sql":"SELECT 1;"}{}`, 400, `the body continues after the object`},
		{"no statement", "POST", "/v1/query", `{}`, 400, `the body lacks the field sql`},
		{"two statements", "POST", "/v1/query", sql("SELECT 1; SELECT 2;"), 400, `"SQ1001"`},
		{"a negative limit", "POST", "/v1/query", sql("SELECT 1;", `"limit":-1`), 400, `not be negative`},
		{"a limit of statements", "POST", "/v1/exec", sql("SHOW TABLES;", `"limit":1`), 400, `limit does not apply to statements`},
		{"a list as an argument", "POST", "/v1/query", sql("SELECT $1;", `"args":[[1]]`), 400, `argument 1 is not a number`},
		{"too few arguments", "POST", "/v1/query", sql("SELECT $2 AS x;", `"args":[1]`), 400, `"SQ2014"`},
		{"a text that cannot be read", "POST", "/v1/query", sql("SELEC 1;"), 400, `"line":1,"column":1,"length":5`},
		{"a column there is not", "POST", "/v1/query", sql("SELECT totl FROM sums;"), 400, `"SQ2003"`},
		{"a document without an end", "POST", "/v1/query", sql("SELECT * FROM s EMIT CHANGES;"), 400, `"SQ3010"`},
		{"rows without an end, dropped", "POST", "/v1/exec", sql("SELECT * FROM s EMIT CHANGES;"), 400, `"SQ3010"`},
		{"records without an end, dropped", "POST", "/v1/exec", sql("PRINT s FROM BEGINNING;"), 400, `"SQ3010"`},
		{"a statement for later", "POST", "/v1/exec", sql("ARCHIVE TOPIC t TO 'file:///x';"), 400,
			`ARCHIVE TOPIC is not supported yet`},
		{"a statement for later, as a query", "POST", "/v1/query", sql("ALTER STREAM s ADD COLUMN a INT;"), 400,
			`ALTER STREAM is not supported yet`},
		{"a statement for later, explained", "POST", "/v1/query", sql("EXPLAIN EXPORT MODEL m;"), 400,
			`EXPORT MODEL is not supported yet`},
		{"another verb", "GET", "/v1/query", ``, 405, `this path requires POST`},
		{"another path", "POST", "/v2/query", `{}`, 404, `there is nothing at this path`},
		{"files of the machine", "POST", "/v1/exec",
			sql("CREATE STREAM f (a STRING) WITH (connector='files', path='/no/such.csv');"), 403, `"SQ7105"`},
		{"what fails while it runs", "POST", "/v1/exec",
			sql("CREATE STREAM e (a DOUBLE) WITH (topic='e'); CREATE MODEL m FROM e TRAIN ONCE WITH (type='kmeans', k=2);"),
			422, `"SQ6201"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, context.Background(), s, c.verb, c.path, c.body, "Accept", "application/json")
			defer got.Body.Close()
			raw, err := io.ReadAll(got.Body)
			var doc struct{ Errors []map[string]any }
			if err == nil {
				err = json.Unmarshal(raw, &doc)
			}
			if err != nil || got.StatusCode != c.status || !strings.Contains(string(raw), c.want) || len(doc.Errors) == 0 {
				t.Errorf("%d, want %d; got %s without %s; %v", got.StatusCode, c.status, raw, c.want, err)
			}
		})
	}
	status, text, _ := post(t, s, "/v1/query", sql("SELECT 1;"), "Accept", "image/png")
	if status != 406 || !strings.Contains(text, "no format in the Accept header") {
		t.Errorf("an unknown format: %d %s", status, text)
	}
	if status, text, _ = post(t, s, "/v1/query", sql("SELECT 1;"), peer.Scope, "all"); status != 400 ||
		!strings.Contains(text, "there is no scope") {
		t.Errorf("an unknown scope: %d %s", status, text)
	}
	if status, _, _ = post(t, s, "/v1/query", sql("SELECT 1;"), "Content-Encoding", "gzip"); status != 400 {
		t.Errorf("a compressed body: %d", status)
	}
}

// TestStreaming reads changes as they arrive, and checks that disconnecting ends the query.
func TestStreaming(t *testing.T) {
	var ended sync.WaitGroup
	ended.Add(1)
	s, e := started(t, func(_ *http.Options, h *http.Handler) {
		inner := h.Query
		h.Query = func(ctx context.Context, q peer.Request) (*streamql.Rows, error) {
			if strings.Contains(q.SQL, "EMIT") {
				context.AfterFunc(ctx, ended.Done)
			}
			return inner(ctx, q)
		}
	})
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	got := ask(t, ctx, s, nethttp.MethodPost, "/v1/query",
		sql("SELECT id, SUM(v) AS total FROM s GROUP BY id EMIT CHANGES;"))
	defer got.Body.Close()
	if kind := got.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("the response has type %s", kind)
	}
	lines := bufio.NewScanner(got.Body)
	want := func(text string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == text {
				return
			}
		}
		t.Fatalf("%s does not arrive: %v", text, lines.Err())
	}
	want(`{"_op":"upsert","id":"b","total":10}`)
	if err := e.Exec(context.Background(), "INSERT INTO s VALUES ('b', 5, 0);"); err != nil {
		t.Fatal(err)
	}
	want(`{"_op":"upsert","id":"b","total":15}`)
	leave()
	ended.Wait()
}

// TestLimits sends too large a body, and requests too many rows, before and after the first
// ones are sent.
func TestLimits(t *testing.T) {
	s, _ := started(t, func(_ *http.Options, h *http.Handler) { h.MaxRows = 1 })
	status, text, _ := post(t, s, "/v1/query", sql("SELECT 1; --"+strings.Repeat("x", 1<<20)))
	if status != 413 || !strings.Contains(text, `"SQ7203"`) {
		t.Errorf("a large body: %d %s", status, text)
	}
	status, text, _ = post(t, s, "/v1/query", sql("SELECT * FROM sums;"))
	if status != 429 || !strings.Contains(text, `"SQ7202"`) {
		t.Errorf("too many rows: %d %s", status, text)
	}
	if status, text, _ = post(t, s, "/v1/query", sql("SELECT id FROM sums ORDER BY id;", `"limit":1`), "Accept",
		"text/csv"); status != 200 || text != "id\r\na\r\n" {
		t.Errorf("as many as may be: %d %q", status, text)
	}
	got := ask(t, context.Background(), s, nethttp.MethodPost, "/v1/query", sql("SELECT * FROM s EMIT CHANGES;",
		`"timeout_ms":300`), "Accept", "application/x-ndjson")
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	if lines := strings.Split(strings.TrimSpace(string(raw)), "\n"); err == nil || len(lines) != 4 ||
		!strings.HasPrefix(lines[3], `{"_error":{"code":"SQ7201"`) {
		t.Errorf("a query that is broken off ends well: %v, %s", err, raw)
	}
}

func TestReady(t *testing.T) {
	var missing error
	s, _ := started(t, func(_ *http.Options, h *http.Handler) { h.Ready = func(context.Context) error { return missing } })
	for status, err := range map[int]error{200: nil, 503: fmt.Errorf("job x has failed")} {
		missing = err
		got := ask(t, context.Background(), s, nethttp.MethodGet, "/readyz", "")
		got.Body.Close()
		alive := ask(t, context.Background(), s, nethttp.MethodGet, "/healthz", "")
		alive.Body.Close()
		if got.StatusCode != status || alive.StatusCode != 200 {
			t.Errorf("%v: ready %d, alive %d", err, got.StatusCode, alive.StatusCode)
		}
	}
}

// TestWatched: metrics require the token, and profiles are restricted to this machine.
func TestWatched(t *testing.T) {
	s, _ := started(t, func(o *http.Options, _ *http.Handler) { o.Token = http.Hash(token) })
	get := func(path string, headers ...string) (int, string) {
		answer := ask(t, t.Context(), s, "GET", path, "", headers...)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	shown := []string{"Authorization", "Bearer " + token}
	for path, want := range map[string]string{"/metrics": `streamql_job_rows_total{job=`, "/debug/pprof/": "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		if status, text := get(path); status != nethttp.StatusUnauthorized || strings.Contains(text, want) {
			t.Errorf("%s without a token: %d", path, status)
		}
		if status, text := get(path, shown...); status != nethttp.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := get("/debug/pprof/cmdline", shown...); status != nethttp.StatusNotFound || strings.Contains(text,
		"test") {
		t.Errorf("the command line: %d %s", status, text)
	}
}
