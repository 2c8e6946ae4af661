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

// SafeName makes any text a part of a topic's name: what Kafka does not take in one (and '%', which it does not take either) becomes its
// bytes in hex behind "-x". Texts that differ give names that differ, but for those that hold "-x" and hex themselves.
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
