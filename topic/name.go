package topic

import (
	"cmp"
	"fmt"
	"strings"
)

// Compare orders partitions by topic and number.
func Compare(a, b Partition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ID, b.ID))
}

// SafeName encodes any text as a part of a topic's name. Characters that Kafka does not allow,
// and '%', are replaced by "-x" and the hex code of their bytes. Different texts have different
// names, except texts that contain "-x" and hex digits themselves.
func SafeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "-x%02x", c)
	}
	return b.String()
}
