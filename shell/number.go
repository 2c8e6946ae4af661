package shell

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// thousands formats a count with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	digits := len(strings.TrimPrefix(s, "-"))
	var b strings.Builder
	for i, c := range s {
		if at := len(s) - i; i > 0 && at%3 == 0 && at < digits {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// short formats a count with three or four digits: 950, 1.2 k, 116 k, 1.9 M.
func short(v float64) string {
	unit := 0
	for v >= 999.5 && unit < 4 {
		v /= 1000
		unit++
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	if unit > 0 && v < 9.95 {
		s = strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strings.TrimSuffix(s+" "+[]string{"", "k", "M", "G", "T"}[unit], " ")
}

// count formats a number with its noun: "1 row", "2 rows".
func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// seconds formats a duration: 0.09 s, 4.0 s, 2 m 5 s.
func seconds(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 1:
		return fmt.Sprintf("%.2f s", s)
	case s < 120:
		return fmt.Sprintf("%.1f s", s)
	default:
		return fmt.Sprintf("%d m %d s", int(s)/60, int(s)%60)
	}
}
