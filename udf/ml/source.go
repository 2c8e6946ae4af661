package ml

import "slices"

// Source is the input of a version, in SQL: columns, and the expressions over them that compute its
// features. It belongs to the version, because the model's definition may be replaced.
type Source struct {
	Columns  []SourceColumn  `json:"columns"`
	Features []SourceFeature `json:"features"`
}

// SourceColumn is a column and its SQL type.
type SourceColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// SourceFeature is a feature, the expression that computes it, and the expression's SQL type.
type SourceFeature struct {
	Name string `json:"name"`
	Expr string `json:"expr"`
	Type string `json:"type"`
}

// Known reports whether the source is known. Versions of early programs have none.
func (s Source) Known() bool { return len(s.Features) > 0 }

// Equal reports whether two versions read the same.
func (s Source) Equal(o Source) bool {
	return slices.Equal(s.Columns, o.Columns) && slices.Equal(s.Features, o.Features)
}

// Accepts reports whether rows that were prepared for the source can be given to a version, which
// is a *Bundle.
func (s Source) Accepts(version any) bool {
	b, ok := version.(*Bundle)
	return ok && (!b.Source.Known() || !s.Known() || b.Source.Equal(s))
}
