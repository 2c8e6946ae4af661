package planner

import (
	"unicode/utf8"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/lang"
)

// Unknown returns the error for a name that refers to nothing. It suggests the most similar of the
// legal names. format has one verb, for the name.
func Unknown(code, format string, name lang.Name, legal []string) *lang.Error {
	e := fail(name, code, format, name.Text)
	e.Len = utf8.RuneCountInString(name.Text)
	if near := lang.Suggest(name.Text, legal); near != "" {
		e.Label = "did you mean \"" + near + "\"?"
	}
	return e
}

// Unavailable returns the error for a name whose definition this version cannot read.
func Unavailable(at lang.Node, b catalog.Broken) *lang.Error {
	e := fail(at, "SQ7306", "%q is UNAVAILABLE in this process: entry %d of the catalog cannot be applied: %s",
		b.Name, b.Offset, b.Reason)
	e.Hint = "run the version that wrote it, or see streamql repair"
	return e
}

// NoRelation returns the error for a name that refers to no stream or table.
func NoRelation(c *catalog.Catalog, name lang.Name) *lang.Error {
	if b, ok := c.Unavailable(name.Text); ok {
		return Unavailable(name, b)
	}
	var legal []string
	for _, r := range c.Relations() {
		legal = append(legal, r.Name)
	}
	return Unknown("SQ2001", "%q is not a stream or table", name, legal)
}

// NoModel returns the error for a name that refers to no model.
func NoModel(c *catalog.Catalog, name lang.Name) *lang.Error {
	if b, ok := c.Unavailable(name.Text); ok {
		return Unavailable(name, b)
	}
	var legal []string
	for _, m := range c.Models() {
		legal = append(legal, m.Name)
	}
	return Unknown("SQ6001", "model %q does not exist", name, legal)
}
