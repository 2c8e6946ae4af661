package http_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/server/http"
)

var (
	setting = regexp.MustCompile("(?s)```sql\n(.*?)```")
	example = regexp.MustCompile("(?s)```http\nPOST (\\S+)\n(?:Accept: (\\S+)\n)?\n(.*?)\n```\n```\n(.*?)```")
)

// TestManual runs the examples of docs/http.md in their order.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	e, err := streamql.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Exec(context.Background(), setting.FindStringSubmatch(string(text))[1]); err != nil {
		t.Fatal(err)
	}
	s, err := http.Listen(http.Options{Address: "127.0.0.1:0"}, http.Over(e))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	settle(t, s)
	examples := example.FindAllStringSubmatch(string(text), -1)
	if len(examples) != 6 {
		t.Errorf("%d examples", len(examples))
	}
	for _, x := range examples {
		_, got, _ := post(t, s, x[1], x[3], "Accept", x[2])
		if got = strings.ReplaceAll(got, "\r\n", "\n"); got != x[4] {
			t.Errorf("%s: got\n%s, the manual says\n%s", x[3], got, x[4])
		}
	}
}
