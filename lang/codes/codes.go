// Package codes holds a page for each code of an error: what it means, an example or the test that shows it, and what to do about it.
package codes

import "embed"

//go:embed *.md
var pages embed.FS

// Page is the page of a code, in Markdown; false: there is none.
func Page(code string) (string, bool) {
	text, err := pages.ReadFile(code + ".md")
	return string(text), err == nil
}
