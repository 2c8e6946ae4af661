package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestWide prints a result with more columns than the terminal has room for: one column per line.
func TestWide(t *testing.T) {
	e := engine(t)
	for query, want := range map[string]string{
		"SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f;": "row 1\n a │ 1\n",
		"SELECT 1 AS a, 2 AS b;":                                 " a │ b\n",
	} {
		var out bytes.Buffer
		s := &Session{Engine: e, Out: &out, Err: &out, Look: Look{Format: "table", Width: 40}, Quiet: true}
		if err := s.Script(context.Background(), "", query); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s\n%s", query, out.String())
		}
	}
}
