// Package codes holds a page for each error code: its meaning, an example or the name of the test that raises it,
// and the cure.
package codes

import (
	"embed"
	"strings"
)

//go:embed *.md
var pages embed.FS

// Codes returns the codes that have a page, sorted.
func Codes() (out []string) {
	files, _ := pages.ReadDir(".") // it is embedded
	for _, f := range files {
		out = append(out, strings.TrimSuffix(f.Name(), ".md"))
	}
	return out
}

// Page returns the page of a code in Markdown, and false if the code has no page. The case of the code does not matter.
func Page(code string) (string, bool) {
	text, err := pages.ReadFile(strings.ToUpper(code) + ".md")
	return string(text), err == nil
}
