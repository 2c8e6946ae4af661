package lang

import (
	"testing"
	"unicode/utf8"
)

func seed(f *testing.F) {
	for _, c := range statements(f) {
		f.Add(c[0])
	}
	for _, s := range []string{"SELECT ((", "'", "`", "/*", "a;;b", "SELECT ${a}", "\xff",
		"SELECT 1..2 FROM s PARTITIONS (1..)", "SELECT - - -1"} {
		f.Add(s)
	}
}

// FuzzParse checks that no text makes Parse panic, and that every error has a code and a position in the text.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src string) {
		stmts, err := Parse(src, Variables(map[string]string{"a": "b"}))
		for _, e := range AsErrors(err) {
			if e.Code == "" || e.Pos.Line < 1 || e.Pos.Offset > len(src) {
				t.Errorf("%+v", e)
			}
			e.Show(src, true)
		}
		for _, s := range stmts {
			if s.Text() != src[s.Position().Offset:s.End().Offset] {
				t.Errorf("text %q", s.Text())
			}
		}
	})
}

// FuzzPrint checks that a printed statement parses to the same tree and prints the same text again.
func FuzzPrint(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src string) {
		stmts, _ := Parse(src)
		for _, s := range stmts {
			text := Print(s)
			again, err := Parse(text)
			if err != nil || len(again) != 1 || !Equal(s, again[0]) || Print(again[0]) != text ||
				!utf8.ValidString(text) {
				t.Errorf("%q prints as %q: %v", s.Text(), text, err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	src := "CREATE TABLE t AS SELECT car, COUNT(*) AS n, AVG(speed + 1) FROM cars c " +
		"JOIN makes m ON c.make = m.id WINDOW TUMBLING (SIZE 5 MINUTES) " +
		"WHERE speed > 10 AND NOT failed GROUP BY car EMIT CHANGES;"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}
