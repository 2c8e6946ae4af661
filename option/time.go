package option

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Units are the units of a length of time, in the singular and in capitals, in milliseconds.
var Units = map[string]int64{
	"MILLISECOND": 1, "SECOND": 1000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000, "WEEK": 7 * 86_400_000,
	"MONTH": 30 * 86_400_000, "YEAR": 365 * 86_400_000,
}

var short = map[string]string{"MS": "MILLISECOND", "S": "SECOND", "M": "MINUTE", "H": "HOUR", "D": "DAY"}

// Length reads a number and a unit, '30 SECONDS' or '100ms', as milliseconds.
func Length(text string) (ms int64, ok bool) {
	text = strings.TrimSpace(strings.ToUpper(text))
	i := 0
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(text[:i], 10, 64)
	if err != nil {
		return 0, false
	}
	word := strings.TrimSpace(text[i:])
	unit, ok := short[word]
	if !ok {
		unit = strings.TrimSuffix(word, "S")
	}
	ms, ok = Units[unit]
	if !ok || n > math.MaxInt64/ms {
		return 0, false
	}
	return n * ms, true
}

// Millis reads a length of time as an option's value is written: as Length does, or a number of milliseconds.
func Millis(text string) (ms int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	return Length(text)
}

// ParseTime reads ISO 8601 text, from a year alone to milliseconds and a zone, as ms since the epoch. A blank may
// replace the T. Text without a zone is UTC.
func ParseTime(s string) (ms int64, err error) {
	iso := s
	if len(iso) > 10 && iso[10] == ' ' {
		iso = iso[:10] + "T" + iso[11:]
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, iso); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a timestamp like '2026-01-31T12:00:00.000'", s)
}

var layouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z0700", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02", "2006-01", "2006",
}
