package planner

import (
	"strconv"
	"strings"

	"github.com/streamql/streamql/lang"
)

// durationText parses '30 SECONDS' or '100ms' to ms.
func durationText(s string) (int64, bool) {
	s = strings.TrimSpace(strings.ToUpper(s))
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	if err != nil {
		return 0, false
	}
	unit := strings.TrimSuffix(strings.TrimSpace(s[i:]), "S")
	switch strings.TrimSpace(s[i:]) {
	case "MS":
		unit = "MILLISECOND"
	case "S":
		unit = "SECOND"
	case "M":
		unit = "MINUTE"
	case "H":
		unit = "HOUR"
	case "D":
		unit = "DAY"
	}
	ms, ok := unitMs[unit]
	return n * ms, ok
}

var unitMs = map[string]int64{
	"MILLISECOND": 1, "SECOND": 1000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000, "WEEK": 7 * 86_400_000,
	"MONTH": 30 * 86_400_000, "YEAR": 365 * 86_400_000,
}

// Millis returns the length of an interval in ms.
func Millis(i *lang.Interval) (int64, error) {
	n, err := strconv.ParseInt(i.N, 10, 64)
	ms, ok := unitMs[i.Unit]
	if err != nil || !ok || n < 0 || n > 1<<62/max(ms, 1) {
		return 0, fail(i, "SQ2010", "%s %s is not a duration", i.N, i.Unit)
	}
	return n * ms, nil
}
