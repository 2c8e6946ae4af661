package kafka

import (
	"fmt"
	"io"
)

// Format prints *** for every verb: without it a verb that does not fit a text, such as %d, would show the text in its complaint.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// Format prints who logs in and how. It is here because a verb that does not fit makes fmt print what a pointer points at as it is.
func (s SASL) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "{%s %s ***}", s.Mechanism, s.User) }
