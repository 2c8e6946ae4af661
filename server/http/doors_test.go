package http_test

import (
	"bufio"
	"context"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/server/http"
)

// TestHalfSent: a request that does not arrive in time is rejected, wherever it stops.
func TestHalfSent(t *testing.T) {
	s, _ := started(t, func(o *http.Options, _ *http.Handler) { o.Arrival = 50 * time.Millisecond })
	address := strings.TrimPrefix(s.URL(), "http://")
	const head = "POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
	var all sync.WaitGroup
	for _, sent := range []string{"", "POST /v1", "POST /v1/query HTTP/1.1\r\nHost: localhost\r\n", head,
		head + `{"sql": "SELECT `, head + `{"sql": 1`, head + `x`,
		strings.Replace(head, "/v1/query", "/v1/nothing", 1) + "x", strings.Replace(head, "POST", "GET", 1) + "x",
		strings.Replace(head, "localhost", "example.com", 1) + "x",
		strings.Replace(head, "Content-Length: 100", "Transfer-Encoding: chunked", 1) + "5\r\n{\"sql\r\n",
		strings.Replace(head, "query", "exec", 1) + `{"sql": "SELECT 1;"} x`} {
		all.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := io.WriteString(c, sent); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
				// until the server closes it
				t.Errorf("%q: %v", sent, err)
			}
		})
	}
	all.Wait()
	if status, text, _ := post(t, s, "/v1/query", sql("SELECT 1 AS one;")); status != 200 {
		t.Errorf("afterwards: %d %s", status, text)
	}
}

// TestAnswersTakeTheirTime reads a response that starts after the time limit for the arrival of
// its request.
func TestAnswersTakeTheirTime(t *testing.T) {
	s, e := started(t, func(o *http.Options, _ *http.Handler) { o.Arrival = 20 * time.Millisecond })
	got := ask(t, context.Background(), s, nethttp.MethodPost, "/v1/query", sql("SELECT id FROM s EMIT CHANGES;"))
	defer got.Body.Close()
	time.Sleep(60 * time.Millisecond)
	if err := e.Exec(context.Background(), `INSERT INTO s VALUES ('late', 1, 1);`); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewReader(got.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "late") {
			break
		}
	}
}

// TestConnections: no more connections are open than configured; the next one waits until
// another is closed.
func TestConnections(t *testing.T) {
	s, _ := started(t, func(o *http.Options, _ *http.Handler) { o.Connections = 2 })
	nethttp.DefaultClient.CloseIdleConnections()
	first := ask(t, context.Background(), s, nethttp.MethodPost, "/v1/query", sql("SELECT * FROM s EMIT CHANGES;"))
	defer first.Body.Close()
	second := ask(t, context.Background(), s, nethttp.MethodPost, "/v1/query", sql("SELECT * FROM s EMIT CHANGES;"))
	answered := make(chan int, 1)
	go func() {
		status, _, _ := post(t, s, "/v1/query", sql("SELECT 1 AS one;"))
		answered <- status
	}()
	select {
	case <-answered:
		t.Error("a third connection is served alongside two")
	case <-time.After(50 * time.Millisecond):
		// if it were served, this test would rarely detect it, but it never fails without a
		// reason
	}
	second.Body.Close()
	if status := <-answered; status != 200 {
		t.Errorf("it is answered with %d", status)
	}
}

// TestWrongTokens sends many wrong tokens at once: at most five, and one per second, are
// checked.
func TestWrongTokens(t *testing.T) {
	s, _ := started(t, func(o *http.Options, _ *http.Handler) { o.Token = http.Hash(token) })
	var mu sync.Mutex
	seen, begun := map[int]int{}, time.Now()
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			got := ask(t, context.Background(), s, nethttp.MethodPost, "/v1/query", sql("SELECT 1 AS one;"), "Authorization",
				"Bearer wrong")
			defer got.Body.Close()
			status := got.StatusCode
			mu.Lock()
			defer mu.Unlock()
			if seen[status]++; status == 429 && got.Header.Get("Retry-After") != "1" {
				t.Errorf("the response does not say when to retry: %v", got.Header)
			}
		})
	}
	all.Wait()
	if most := 6 + int(time.Since(begun)/time.Second); seen[401] < 5 || seen[401] > most || seen[401]+seen[429] != 40 {
		t.Errorf("answers by status: %v, at most %d of 401", seen, most)
	}
}

// TestTokensOfRoles sends requests with the token of each role.
func TestTokensOfRoles(t *testing.T) {
	s, _ := started(t, func(o *http.Options, _ *http.Handler) {
		o.Token, o.Writer, o.Reader = http.Hash(token), http.Hash("w"), http.Hash("r")
	})
	for _, c := range []struct {
		sql    string
		tokens map[string]int
	}{
		{"SELECT 1 AS one;", map[string]int{"r": 200, "w": 200, token: 200, "": 401}},
		{"SHOW JOBS;", map[string]int{"r": 200, "w": 200, token: 200}},
		{"INSERT INTO s VALUES ('a', 1, 1);", map[string]int{"r": 403, "w": 200, token: 200}},
		{"CREATE STREAM IF NOT EXISTS n (a INT) WITH (topic='n', format='json');", map[string]int{"r": 403, "w": 200,
			token: 200}},
		{"DROP STREAM IF EXISTS n DELETE TOPIC;", map[string]int{"r": 403, "w": 403, token: 200}},
	} {
		for as, want := range c.tokens {
			status, text, _ := post(t, s, "/v1/exec", sql(c.sql), "Authorization", "Bearer "+as)
			if status != want || want == 403 && !strings.Contains(text, `"SQ7104"`) {
				t.Errorf("%s as %q: %d %s", c.sql, as, status, text)
			}
		}
	}
}

// TestFilesOverHTTP defines files over HTTP: none without directories, and otherwise only files
// below them.
func TestFilesOverHTTP(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(dir, "f.csv"), filepath.Join(outside, "f.csv")} {
		if err := os.WriteFile(path, []byte("canary,b\n1,2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "f.csv"), filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := streamql.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, c := range []struct {
		path   string
		roots  []string
		status int
		code   string
	}{
		{filepath.Join(dir, "f.csv"), nil, 403, "SQ7105"}, {"f.csv", nil, 403, "SQ7105"}, {"/proc/self/environ", nil, 403,
			"SQ7105"},
		{"f.csv", []string{dir}, 200, ""}, {filepath.Join(dir, "f.csv"), []string{dir}, 200, ""},
		{filepath.Join(outside, "f.csv"), []string{dir}, 403, "SQ7105"}, {"../" + filepath.Base(outside) + "/f.csv",
			[]string{dir}, 403, "SQ7105"},
		{"link.csv", []string{dir}, 403, "SQ7105"}, {"pipe.csv", []string{dir}, 502, "SQ5003"}, {"/proc/self/environ",
			[]string{"/proc"}, 502, "SQ5003"},
		{"/proc/self/environ", []string{dir}, 403, "SQ7105"}, {"/dev/zero", []string{"/"}, 502, "SQ5003"},
		{"/etc/passwd", []string{dir}, 403, "SQ7105"},
	} {
		s, err := http.Listen(http.Options{Address: "127.0.0.1:0"}, http.Over(e, c.roots...))
		if err != nil {
			t.Fatal(err)
		}
		for _, columns := range []string{"", "(b INT)", "(x INT)"} {
			status, text, _ := post(t, s, "/v1/exec", sql("CREATE STREAM f "+columns+" WITH (connector='files', path='"+c.path+
				"', format='csv'); DROP STREAM f;"))
			if columns == "(x INT)" && c.code == "" { // the header has no x
				c.status, c.code = 502, "SQ5003"
			}
			if status != c.status || !strings.Contains(text, c.code) || strings.Contains(text, "canary") ||
				strings.Contains(text, "HOME") {
				t.Errorf("%s %s under %v: %d %s", c.path, columns, c.roots, status, text)
			}
		}
		s.Close()
	}
	nethttp.DefaultClient.CloseIdleConnections()
}

// TestSlowStatements: a small request is served while long statements run.
func TestSlowStatements(t *testing.T) {
	s, _ := started(t)
	for _, slow := range []string{
		`SELECT REGEXP_REPLACE(LPAD('a', 100000, 'a'), '((a{1,100}){1,10})b', 'x') IS NULL AS n;`,
		`SELECT COUNT(*) AS n FROM (SELECT EXPLODE(GENERATE_SERIES(1, 100000)) AS a, b FROM (SELECT EXPLODE(GENERATE_SERIES(1, 100000)) AS b));`,
	} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		r, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, s.URL()+"/v1/exec", strings.NewReader(sql(slow)))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(ended)
			if got, err := nethttp.DefaultClient.Do(r); err == nil {
				io.Copy(io.Discard, got.Body)
				got.Body.Close()
			}
		}()
		for range 3 {
			if status, text, _ := post(t, s, "/v1/exec",
				sql("SELECT 1 AS one; INSERT INTO s VALUES ('b', 1, 1); SHOW JOBS;")); status != 200 {
				t.Errorf("%d %s", status, text)
			}
			select {
			case <-ended:
				t.Errorf("this has ended before others were answered: %s", slow)
			default:
			}
		}
		cancel()
		<-ended
	}
}
