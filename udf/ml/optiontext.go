package ml

import (
	"fmt"
	"strings"
)

// KindName names the SQL type of an option's value.
func (o Option) KindName() string {
	if o.Parse != nil && o.Kind == Float {
		return "any" // Parse decides, as for threshold
	}
	return [...]string{Float: "DOUBLE", Int: "BIGINT", Bool: "BOOLEAN", Text: "STRING", List: "ARRAY"}[o.Kind]
}

// Range describes the values that an option accepts, or is empty if its type says all.
func (o Option) Range() string {
	switch {
	case len(o.Legal) > 0:
		return "'" + strings.Join(o.Legal, "', '") + "'"
	case o.Min == 0 && o.Max == 0:
		return ""
	case o.Above:
		return fmt.Sprintf("more than %.15g, up to %.15g", o.Min, o.Max)
	}
	return fmt.Sprintf("%.15g to %.15g", o.Min, o.Max)
}
