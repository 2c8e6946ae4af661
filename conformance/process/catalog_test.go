package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked is a process that serves HTTP.
type asked struct {
	*proc
	url string
}

var answered = regexp.MustCompile(`serving HTTP at (\S+)`)

func (s *site) asked(dir, sql string, more ...string) *asked {
	s.t.Helper()
	// the process publishes its address to the others, so the port must be known before it starts
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	l.Close()
	p := s.run(dir, sql, append([]string{"--http", l.Addr().String()}, more...)...)
	return &asked{p, answered.FindStringSubmatch(p.says("serving HTTP at ") + "\n")[1]}
}

// post sends a request. A status other than 200 is an error that contains the response.
func (a *asked) post(path, sql string) (string, error) {
	body, _ := json.Marshal(map[string]any{"sql": sql, "timeout_ms": 60000})
	resp, err := http.Post(a.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %s", resp.StatusCode, text)
	}
	return string(text), err
}

func (a *asked) do(sql string) {
	a.t.Helper()
	if text, err := a.post("/v1/exec", sql); err != nil {
		a.t.Fatalf("%s: %s: %v %s", a.label, sql, err, text)
	}
}

// rows returns the rows of a query, each as an array of values.
func (a *asked) rows(sql string) (out [][]any) {
	a.t.Helper()
	text, err := a.post("/v1/query", sql)
	if err != nil {
		a.t.Fatalf("%s: %s: %v", a.label, sql, err)
	}
	if out, err = readRows(text); err != nil {
		a.t.Fatalf("%s: %s: %v: %s", a.label, sql, err, text)
	}
	return out
}

// readRows decodes the response to a query.
func readRows(text string) ([][]any, error) {
	var doc struct{ Rows [][]any }
	err := json.Unmarshal([]byte(text), &doc)
	return doc.Rows, err
}

// until waits until a query returns these rows.
func (a *asked) until(sql, want string, limit time.Duration) time.Duration {
	a.t.Helper()
	began := time.Now()
	for {
		got := fmt.Sprint(a.rows(sql))
		if got == want {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			a.t.Errorf("%s: %s is %s after %v, not %s", a.label, sql, got, limit, want)
			return limit
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestCatalog sends statements to two processes at the same time.
func TestCatalog(t *testing.T) {
	s := newSite(t, shared)
	sql := s.file("none.sql", "SET 'auto.offset.reset'='earliest';\n")
	both := []*asked{s.asked("a", sql), s.asked("b", sql)}
	in := s.topic("in", 2)

	t.Run("definitions", func(t *testing.T) {
		both[0].t, both[1].t = t, t
		const n = 20
		var all sync.WaitGroup
		var mu sync.Mutex
		won := map[string][]int{}
		for i := range n {
			for who, p := range both {
				define := func(name, column string) {
					all.Go(func() {
						_, err := p.post("/v1/exec",
							fmt.Sprintf("CREATE STREAM %s (k STRING KEY, %s INT) WITH (topic='%s', key_format='kafka', value_format='json');", name, column, in))
						mu.Lock()
						defer mu.Unlock()
						switch {
						case err == nil:
							won[name] = append(won[name], who)
						case !strings.Contains(err.Error(), "SQ2002"):
							t.Errorf("%s at %s: %v", name, p.label, err)
						}
					})
				}
				define(fmt.Sprintf("same%d", i), fmt.Sprintf("of_%d", who))
				define(fmt.Sprintf("only%d_%d", i, who), "v")
			}
		}
		all.Wait()
		wins := [2]int{}
		for name, by := range won {
			if len(by) != 1 {
				t.Errorf("%s was made by %v", name, by)
			}
			if strings.HasPrefix(name, "same") {
				wins[by[0]]++
			}
		}
		if len(won) != 3*n {
			t.Errorf("%d names were made, not %d", len(won), 3*n)
		}
		time.Sleep(time.Second)
		var show [2]string
		for who, p := range both {
			rows := fmt.Sprint(p.rows("SHOW STREAMS;"))
			for name, by := range won {
				if strings.HasPrefix(name, "same") && !strings.Contains(fmt.Sprint(p.rows("DESCRIBE "+name+";")),
					fmt.Sprintf("of_%d", by[0])) {
					t.Errorf("%s does not have %s as %s made it", p.label, name, both[by[0]].label)
				}
			}
			show[who] = rows
		}
		if show[0] != show[1] {
			t.Errorf("they have other streams:\n%s\n%s", show[0], show[1])
		}
		t.Logf("%d names were defined at both: %d succeeded at one, %d at the other; %d at one alone", n, wins[0], wins[1],
			2*n)
	})

	t.Run("jobs end everywhere", func(t *testing.T) {
		both[0].t, both[1].t = t, t
		a, b := both[0], both[1]
		src := fmt.Sprintf("CREATE STREAM src (k STRING KEY, v INT) WITH (topic='%s', key_format='kafka', value_format='json');", in)
		a.do(src + fmt.Sprintf("CREATE TABLE counts WITH (topic='%s.counts') AS SELECT k, COUNT(*) AS n FROM src GROUP BY k;", s.name))
		const jobs = "SELECT job, status FROM streamql.jobs;"
		job := fmt.Sprint(a.rows(jobs)[0][0])
		b.until(jobs, fmt.Sprintf("[[%s RUNNING]]", job), 15*time.Second)
		b.do("INSERT INTO src VALUES ('x', 1), ('y', 2), ('x', 3);")
		for _, p := range both { // each owns a part of the rows and requests the rest from the other
			p.until("SELECT k, n FROM counts ORDER BY k;", "[[x 2] [y 1]]", 15*time.Second)
		}
		b.do("TERMINATE " + job + ";")
		took := a.until(jobs, "[]", 5*time.Second)
		t.Logf("TERMINATE reached the other process in %v", took.Round(time.Millisecond))
		b.do(fmt.Sprintf("DROP TABLE counts; CREATE STREAM again WITH (topic='%s.again') AS SELECT k, v FROM src;", s.name))
		a.until("SELECT status FROM streamql.jobs;", "[[RUNNING]]", 15*time.Second)
		a.do("DROP STREAM again;")
		took = b.until(jobs, "[]", 5*time.Second)
		t.Logf("DROP reached the other process in %v", took.Round(time.Millisecond))
		for _, p := range both {
			if names := fmt.Sprint(p.rows("SHOW STREAMS;")) + fmt.Sprint(p.rows("SHOW TABLES;")); strings.Contains(names,
				"again") || strings.Contains(names, "counts") {
				t.Errorf("%s still has a dropped relation: %s", p.label, names)
			}
		}
	})

	t.Run("models", func(t *testing.T) {
		both[0].t, both[1].t = t, t
		a, b := both[0], both[1]
		a.do(`CREATE STREAM paid WITH (connector='generator', kind='fraud', rows=3000, seed=7);`)
		const train = `CREATE MODEL fraud TRANSFORM (LN(amount) AS amount, hour) TARGET is_fraud FROM paid SINCE EARLIEST UNTIL NOW TRAIN ONCE WITH (type='logistic_regression', seed=7);`
		a.do(train)
		const versions = "SELECT COUNT(*) AS n FROM fraud;"
		took := b.until(versions, "[[1]]", 15*time.Second)
		if took > time.Second {
			t.Errorf("version 1 was seen by the other process %v after its commit", took)
		}
		if rows := b.rows("SELECT MODEL_VERSION(fraud) AS v, COUNT(*) AS n FROM paid SINCE EARLIEST UNTIL NOW GROUP BY MODEL_VERSION(fraud);"); fmt.Sprint(rows) != "[[1 3000]]" {
			t.Errorf("the other process predicts with %v", rows)
		}
		var times []time.Duration
		for n := 2; n <= 5; n++ {
			a.do("RETRAIN MODEL fraud SINCE EARLIEST UNTIL NOW;")
			times = append(times, b.until(versions, fmt.Sprintf("[[%d]]", n), 15*time.Second))
		}
		if slowest := slices.Max(times); slowest > time.Second {
			t.Errorf("a version was seen by the other process %v after its commit", slowest)
		}
		t.Logf("versions were seen by the other process %v, %v after their commits", took.Round(time.Millisecond), times)
	})
	for _, p := range both {
		p.t = t
		p.stop()
	}
}
