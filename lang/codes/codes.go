// Package codes holds a page for each error code: its meaning, an example or the name of the test that raises it,
// and the cure.
package codes

import "embed"

//go:embed *.md
var pages embed.FS

// Page returns the page of a code in Markdown, and false if the code has no page.
func Page(code string) (string, bool) {
	text, err := pages.ReadFile(code + ".md")
	return string(text), err == nil
}
