package kafka

import (
	"fmt"
	"io"
)

// Format prints *** for every verb. Without it, fmt would print the secret in its complaint
// about a verb that does not fit, such as %d.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// Format prints the mechanism and the user. Without it, fmt would print the fields that a
// pointer points to, for a verb that does not fit.
func (s SASL) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "{%s %s ***}", s.Mechanism, s.User) }
