package lang

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var example = regexp.MustCompile("(?s)```sql( repeat=([0-9]+))?\n(.*?)\n```")

// TestCodes checks that every code that this package raises has a page, and that the example of every page raises
// its code.
func TestCodes(t *testing.T) {
	pages, err := filepath.Glob("codes/SQ10*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	have := map[string]bool{}
	for _, page := range pages {
		code := strings.TrimSuffix(filepath.Base(page), ".md")
		have[code] = true
		t.Run(code, func(t *testing.T) {
			body, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(body), "# "+code+": ") {
				t.Errorf("the page does not begin with its code")
			}
			m := example.FindStringSubmatch(string(body))
			if m == nil {
				t.Fatal("the page has no example")
			}
			src := m[3]
			if m[2] != "" {
				n, _ := strconv.Atoi(m[2])
				head, last := "", src
				if i := strings.LastIndexByte(src, '\n'); i >= 0 {
					head, last = src[:i+1], src[i+1:]
				}
				src = head + strings.Repeat(last+"\n", n)
			}
			_, err = Parse(src)
			errs := AsErrors(err)
			if len(errs) != 1 || errs[0].Code != code || errs[0].Pos.Line == 0 {
				t.Fatalf("the example gives %v", err)
			}
		})
	}
	sources, _ := filepath.Glob("*.go")
	raised := regexp.MustCompile(`"(SQ10\d{2})"`)
	for _, f := range sources {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, _ := os.ReadFile(f)
		for _, m := range raised.FindAllStringSubmatch(string(src), -1) {
			if !have[m[1]] {
				t.Errorf("%s raises %s, which has no page", f, m[1])
			}
		}
	}
}
