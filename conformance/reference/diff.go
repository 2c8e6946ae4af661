package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Diff compares the records that an engine wrote with the expected ones, to the byte. Each topic must contain
// the same records, and the records of each key must have the same order. Records of different keys, and
// records without a key, may be in any order. Diff returns a sentence about the first difference, or "".
func Diff(want, got map[string][]Output) string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(want)), maps.Keys(got))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		w, order := byKey(want[name])
		g, more := byKey(got[name])
		for _, key := range append(order, more...) {
			if d := diffKey(w[key], g[key]); d != "" {
				return fmt.Sprintf("topic %s, key %s: %s", name, key, d)
			}
		}
	}
	return ""
}

// byKey groups records by key and sorts those without a key. It also returns the keys in the order of their
// first records.
func byKey(list []Output) (map[string][]string, []string) {
	out := map[string][]string{}
	var order []string
	for _, o := range list {
		key := o.key()
		if _, ok := out[key]; !ok {
			order = append(order, key)
		}
		out[key] = append(out[key], o.String())
	}
	slices.Sort(out[noKey])
	return out, order
}

func diffKey(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%d records, not %d; %s is missing", len(got), len(want), want[i])
		case i >= len(want):
			return fmt.Sprintf("%d records, not %d; %s is additional", len(got), len(want), got[i])
		case want[i] != got[i]:
			return fmt.Sprintf("record %d of %d is %s, not %s", i+1, len(want), got[i], want[i])
		}
	}
	return ""
}

// String returns the record as one line: key, value, timestamp and partition, and headers if there are any.
func (o Output) String() string {
	value := "null"
	if o.Value != nil {
		value = spell(o.Value)
	}
	s := fmt.Sprintf("%s: %s at %d in partition %d", o.key(), value, o.Time, o.Partition)
	for _, h := range o.Headers {
		s += fmt.Sprintf(" %s=%s", h.Key, spell(h.Value))
	}
	return s
}

const noKey = "none"

func (o Output) key() string {
	if o.Key == nil {
		return noKey
	}
	return "'" + spell(o.Key) + "'"
}

func spell(b []byte) string {
	if utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' }) {
		return string(b)
	}
	return fmt.Sprintf("%x", b)
}
