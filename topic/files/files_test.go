package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/streamql/streamql/topic"
)

// write creates files from pairs of names and contents in a directory, and returns the
// directory.
func write(t testing.TB, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, pairs[i]), []byte(pairs[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// layouts are formats as package format declares them.
var layouts = []Format{{"JSON", []string{".json", ".jsonl", ".ndjson"}, false}, {"CSV", []string{".csv", ".tsv"}, true}, {"DELIMITED", nil, true}}

func open(t testing.TB, c Config) *Source {
	t.Helper()
	c.Formats = layouts
	s, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read returns the rows of one partition's span as offset:record.
func read(t testing.TB, s *Source, part int32, from, to topic.Offset) []string {
	t.Helper()
	r, err := s.Open(
		context.Background(),
		[]topic.Span{{Partition: topic.Partition{Topic: "t", ID: part}, From: from, To: to}},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	next := from
	for {
		fetches, err := r.Poll(context.Background())
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetches {
			if f.From != next || f.Rows() != int(f.Next-f.From) || f.Value.Len() != f.Rows() ||
				f.Key.Len() != f.Rows() ||
				len(f.Times) != f.Rows() {
				t.Fatalf("fetch [%d, %d) of %d rows after %d", f.From, f.Next, f.Rows(), next)
			}
			next = f.Next
			for i := range f.Rows() {
				if f.Key.At(i) != nil {
					t.Fatal("a row has a key")
				}
				out = append(out, fmt.Sprintf("%d:%s", f.Offsets[i], f.Value.At(i)))
			}
		}
	}
}

func rows(t testing.TB, s *Source) []topic.Offset {
	t.Helper()
	d, err := s.Describe(context.Background(), "t")
	if err != nil {
		t.Fatal(err)
	}
	var out []topic.Offset
	for i, p := range d.Partitions {
		if p.From != 0 || int(p.ID) != i || p.Topic != "t" {
			t.Fatalf("partition %d is %v", i, p)
		}
		out = append(out, p.To)
	}
	return out
}

func TestRecords(t *testing.T) {
	cases := []struct {
		name   string
		file   string
		text   string
		config Config
		want   string // records joined by " | "
	}{
		{"lines", "a.jsonl", "{\"a\":1}\n{\"a\":2}\n", Config{}, `{"a":1} | {"a":2}`},
		{"no last line break", "a.jsonl", "1\n2", Config{}, `1 | 2`},
		{"blank lines are no rows", "a.json", "\n1\n \t\n\r\n2\n\n", Config{}, `1 | 2`},
		{"carriage returns", "a.csv", "a,b\r\n1,2\r\n", Config{}, `a,b | 1,2`},
		{"byte order mark", "a.csv", "\xEF\xBB\xBFa\n1\n", Config{}, `a | 1`},
		{
			"byte order mark before a header",
			"a.csv",
			"\xEF\xBB\xBFa,b\n1,2\n",
			Config{Header: true, Fields: []string{"B", "A"}},
			`2,1`,
		},
		{"quoted line break", "a.csv", "1,\"x\ny\"\n2,z\n", Config{}, "1,\"x\ny\" | 2,z"},
		{"quoted quote", "a.csv", "\"a\"\"\n,\"\nb\n", Config{}, "\"a\"\"\n,\" | b"},
		{
			"a quote inside a field opens nothing",
			"a.csv",
			"5\" pipe,1\n6\" pipe,2\n",
			Config{},
			"5\" pipe,1 | 6\" pipe,2",
		},
		{"header in order", "a.csv", "id,name\n1,x\n", Config{Header: true, Fields: []string{"ID", "NAME"}}, `1,x`},
		{
			"header in another order",
			"a.csv",
			"name,more,\"id\"\n\"x,y\",z,1\n",
			Config{Header: true, Fields: []string{"id", "name"}},
			`1,"x,y"`,
		},
		{
			"exact name before another case",
			"a.csv",
			"ID,id\n1,2\n",
			Config{Header: true, Fields: []string{"id"}},
			`2`,
		},
		{"one column for two", "a.csv", "x,y\n1,2\n", Config{Header: true, Fields: []string{"x", "X"}}, `1,1`},
		{
			"too few fields stay as they are",
			"a.csv",
			"b,a,c\n1,2,3\n1\n",
			Config{Header: true, Fields: []string{"a", "b", "c"}},
			`2,1,3 | 1`,
		},
		{
			"too few fields, by chance as many as declared",
			"a.csv",
			"b,c,a\n1,2\n",
			Config{Header: true, Fields: []string{"a", "b"}},
			`1,2,`,
		},
		{"too many fields", "a.csv", "b,a\n1,2,3\n", Config{Header: true, Fields: []string{"a", "b"}}, `1,2,3`},
		{"tabs", "a.tsv", "b\ta\n1\t2\n\t\n", Config{Header: true, Fields: []string{"a", "b"}}, "2\t1 | \t"},
		{
			"delimiter",
			"a.csv",
			"b;a\n1;2,5\n",
			Config{Header: true, Delimiter: ';', Fields: []string{"a", "b"}},
			"2,5;1",
		},
		{"header only", "a.csv", "a,b\n", Config{Header: true, Fields: []string{"a"}}, ""},
		{"empty", "a.csv", "", Config{Header: true, Fields: []string{"a"}}, ""},
		{"given format", "a.dat", "1\n", Config{Format: "kafka"}, "1"},
		{"quote that is not closed", "a.csv", "1\n\"2\n3\n", Config{}, "1 | \"2\n3\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.config.Path = filepath.Join(write(t, c.file, c.text), c.file)
			s := open(t, c.config)
			n := rows(t, s)[0]
			var got []string
			for i, r := range read(t, s, 0, 0, n) {
				got = append(got, strings.TrimPrefix(r, fmt.Sprintf("%d:", i)))
			}
			if text := strings.Join(got, " | "); text != c.want || len(got) != int(n) {
				t.Errorf("%d rows: %q, want %q", n, text, c.want)
			}
		})
	}
}

func TestDirectoryIsPartitionsByName(t *testing.T) {
	dir := write(t, "b.csv", "x\nb0\nb1\n", "a.csv", "x\na0\n", ".hidden", "?", "c.csv", "x\n")
	s := open(t, Config{Path: dir, Header: true, Fields: []string{"X"}})
	if got := rows(t, s); fmt.Sprint(got) != "[1 2 0]" {
		t.Fatal(got)
	}
	if got := read(t, s, 1, 1, 2); fmt.Sprint(got) != "[1:b1]" {
		t.Error(got)
	}
	if s.Format() != "CSV" || s.Delimiter() != "," {
		t.Error(s.Format(), s.Delimiter())
	}
	if names, err := s.Header(); err != nil || fmt.Sprint(names) != "[x]" {
		t.Error(names, err)
	}
}

func TestOpenErrorsNamePathAndCause(t *testing.T) {
	cases := []struct {
		name   string
		files  []string
		path   string
		config Config
		want   []string
	}{
		{"missing", nil, "nope.csv", Config{}, []string{"nope.csv", "no such file"}},
		{"empty directory", nil, ".", Config{}, []string{"contains no files"}},
		{"unknown ending", []string{"a.dat", ""}, ".", Config{}, []string{"a.dat", "ending", "format"}},
		{
			"two formats",
			[]string{"a.csv", "", "b.json", ""},
			".",
			Config{},
			[]string{"b.json is JSON", "a.csv is CSV"},
		},
		{"parquet", []string{"a.parquet", ""}, ".", Config{}, []string{"a.parquet", "not supported yet"}},
		{
			"header without the columns",
			[]string{"a.csv", "1,2\n"},
			".",
			Config{Header: true, Fields: []string{"a", "b"}},
			[]string{"a.csv", "(a, b)", "header=false"},
		},
		{
			"column twice",
			[]string{"a.csv", "a,a\n1,2\n"},
			".",
			Config{Header: true, Fields: []string{"a"}},
			[]string{"a.csv", "in the header twice"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.config.Path = filepath.Join(write(t, c.files...), c.path)
			c.config.Formats = layouts
			s, err := Open(context.Background(), c.config)
			if err == nil {
				_, err = s.Describe(context.Background(), "t")
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

func TestSeekFindsEveryRow(t *testing.T) {
	var text strings.Builder
	const n = 30_000
	for i := range n {
		fmt.Fprintf(&text, "%d,\"%s\n%d\"\n", i, strings.Repeat("x", i%50), i)
	}
	s := open(t, Config{Path: filepath.Join(write(t, "a.csv", text.String()), "a.csv")})
	all := read(t, s, 0, 0, n) // creates marks
	if len(all) != n || len(s.files[0].marks) < 4 {
		t.Fatal(len(all), len(s.files[0].marks))
	}
	fresh := open(t, s.config)
	for _, from := range []topic.Offset{0, 1, 4095, 4096, 4097, 12_345, n - 1, n} {
		for _, s := range []*Source{s, fresh} {
			got := read(t, s, 0, from, n)
			if len(got) != int(n-from) || len(got) > 0 && got[0] != all[from] {
				t.Fatalf("from %d: %d rows, first %.40q", from, len(got), got)
			}
		}
	}
	if rows(t, s)[0] != n {
		t.Error("count")
	}
}

func TestPastTheEndIsAGap(t *testing.T) {
	s := open(t, Config{Path: filepath.Join(write(t, "a.csv", "1\n2\n"), "a.csv")})
	_, err := s.Open(context.Background(), []topic.Span{{From: 5, To: 7}})
	var gap topic.ErrGap
	if !errors.As(err, &gap) || gap.From != 2 {
		t.Error(err)
	}
	r, err := s.Open(context.Background(), []topic.Span{{From: 0, To: 7}})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := r.Poll(context.Background()); err != nil || f[0].Rows() != 2 {
		t.Fatal(f, err)
	}
	if _, err := r.Poll(context.Background()); !errors.As(err, &gap) || gap.From != 2 || gap.To != 7 {
		t.Error(err)
	}
	if _, err := s.Open(context.Background(), []topic.Span{{Partition: topic.Partition{ID: 3}}}); !errors.Is(
		err,
		topic.ErrUnknownTopic,
	) {
		t.Error(err)
	}
}

// TestFollow: a live span waits, returns rows once they are complete, and stops with its
// context.
func TestFollow(t *testing.T) {
	path := filepath.Join(write(t, "a.csv", ""), "a.csv")
	steps := []string{"b,a\n", "1,2\n3", ",4\n", "\n5,6\n"}
	ctx, cancel := context.WithCancel(context.Background())
	s := open(t, Config{Path: path, Header: true, Fields: []string{"a", "b"}, Wait: func(ctx context.Context) error {
		if len(steps) == 0 {
			cancel()
			return ctx.Err()
		}
		h, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer h.Close()
		_, err = h.WriteString(steps[0])
		steps = steps[1:]
		return err
	}})
	r, err := s.Open(ctx, []topic.Span{{To: topic.End}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for {
		fetches, err := r.Poll(ctx)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		for i := range fetches[0].Rows() {
			got = append(got, fmt.Sprintf("%d:%s", fetches[0].Offsets[i], fetches[0].Value.At(i)))
		}
	}
	if text := strings.Join(got, " "); text != "0:2,1 1:4,3 2:6,5" {
		t.Error(text)
	}
}

func TestFollowTakesAnUnendedLineThatWasThere(t *testing.T) {
	path := filepath.Join(write(t, "a.json", "1\n2"), "a.json")
	ctx, cancel := context.WithCancel(context.Background())
	s := open(t, Config{Path: path, Wait: func(ctx context.Context) error { cancel(); return ctx.Err() }})
	r, err := s.Open(ctx, []topic.Span{{To: topic.End}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Poll(ctx)
	if err != nil || f[0].Rows() != 2 {
		t.Fatal(f, err)
	}
	if _, err := r.Poll(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestShrunkFileIsReplaced(t *testing.T) {
	path := filepath.Join(write(t, "a.json", "1\n2\n"), "a.json")
	s := open(t, Config{Path: path, Wait: func(context.Context) error { return os.Truncate(path, 1) }})
	r, err := s.Open(context.Background(), []topic.Span{{To: topic.End}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Poll(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Poll(context.Background()); !errors.Is(err, topic.ErrTopicReplaced) ||
		!strings.Contains(err.Error(), "a.json") {
		t.Error(err)
	}
}

// TestHugeRecords: neither an endless line nor an unclosed quote affects the rows after it.
func TestHugeRecords(t *testing.T) {
	long := strings.Repeat("x", maxRecord+10)
	s := open(t, Config{Path: filepath.Join(write(t, "a.json", "1\n"+long+"\n2\n"), "a.json")})
	n := rows(t, s)[0]
	got := read(t, s, 0, 0, n)
	if n != 3 || len(got) != 3 || len(got[1]) != maxRecord+2 || got[2] != "2:2" {
		t.Errorf("%d rows, %d read", n, len(got))
	}
	lines := strings.Repeat("3,y\n", maxRecord/4+10)
	s = open(t, Config{Path: filepath.Join(write(t, "a.csv", "1,x\n2,\"y\n"+lines), "a.csv")})
	n = rows(t, s)[0]
	got = read(t, s, 0, 0, 3)
	if int(n) != maxRecord/4+12 || fmt.Sprint(got) != "[0:1,x 1:2,\"y 2:3,y]" {
		t.Errorf("%d rows, %.100q", n, got)
	}
}

// TestChunksDoNotMatter: rows do not depend on the boundaries of reads. The test quotes and
// joins arbitrary fields.
func TestChunksDoNotMatter(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching("[a,\"\n]{0,4}"), 2, 2), 1, 40).Draw(t, "rows")
		pad := rapid.IntRange(chunkBytes-60, chunkBytes+10).Draw(t, "pad")
		text := strings.Repeat("p", pad) + ",\"\"\n"
		want := []string{strings.TrimSpace(text)}
		for _, row := range fields {
			var line string
			for i, f := range row {
				row[i] = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
			}
			line = strings.Join(row, ",")
			text += line + "\n"
			want = append(want, line)
		}
		path := filepath.Join(dir, "a.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), Config{Formats: layouts, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(context.Background(), []topic.Span{{To: topic.Offset(len(want))}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got []string
		for {
			fetches, err := r.Poll(context.Background())
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range fetches[0].Rows() {
				got = append(got, string(fetches[0].Value.At(i)))
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("got %q\nwant %q", got, want)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	header, line := "", ""
	var declared []string
	for i := range 20 {
		header += fmt.Sprintf("column%d,", i)
		line += fmt.Sprintf("%d.123456789,", i)
		declared = append([]string{fmt.Sprintf("COLUMN%d", i)}, declared...)
	}
	const n = 50_000
	text := strings.TrimSuffix(header, ",") + "\n" + strings.Repeat(strings.TrimSuffix(line, ",")+"\n", n)
	path := filepath.Join(write(b, "a.csv", text), "a.csv")
	for name, fields := range map[string][]string{"as it is": nil, "reordered": declared} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := open(b, Config{Path: path, Header: true, Fields: fields})
				r, err := s.Open(context.Background(), []topic.Span{{To: n}})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = r.Poll(context.Background())
				}
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// TestBegins: the beginnings are found without reading rows.
func TestBegins(t *testing.T) {
	s := open(t, Config{Path: write(t, "a.csv", "1\n2\n", "b.csv", "3\n")})
	d := s.Begins("t")
	if len(d.Partitions) != 2 || d.Partitions[0].To != 0 || len(s.files[0].marks) != 0 {
		t.Errorf("%v, %d marks", d, len(s.files[0].marks))
	}
	var _ topic.Begins = s
}

// TestMissingColumn: a declared column must be in the header of at least one file.
func TestMissingColumn(t *testing.T) {
	formats := []Format{{Name: "CSV", Endings: []string{".csv"}, Table: true}}
	dir := write(t, "a.csv", "id\n1\n")
	c := Config{Path: dir, Header: true, Formats: formats, Fields: []string{"name", "id"}}
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "does not contain the declared column name") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.csv"), []byte("name\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); err != nil {
		t.Error(err)
	}
}
