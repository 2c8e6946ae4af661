package udf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse parses a text according to the pattern. Fields that the pattern omits are those of
// 1970-01-01T00:00; a zone or offset in the text takes precedence over zone. The whole text
// must match, and days and hours must exist.
func (p *Pattern) Parse(s string, zone *time.Location) (time.Time, error) {
	f := fields{year: 1970, month: 1, day: 1, hour12: -1, zone: zone}
	rest, err := f.read(p.parts, s)
	if err == nil && rest != "" {
		err = fmt.Errorf("'%s' is left over", rest)
	}
	var t time.Time
	if err == nil {
		t, err = f.time()
	}
	if err != nil {
		return t, fmt.Errorf("'%s' does not fit the format '%s': %w", s, p.text, err)
	}
	return t, nil
}

// fields are the values parsed so far. yearDay 0, hour12 -1 and milli 0: not present.
type fields struct {
	year, month, day, yearDay         int
	hour, hour12, minute, second      int
	nano, milli                       int
	pm                                bool
	zone                              *time.Location
	weekday                           string
	hasMonth, hasWeekday, hasDayMilli bool
}

func (f *fields) read(parts []part, s string) (rest string, err error) {
	for i, x := range parts {
		switch x.letter {
		case 0:
			if !strings.HasPrefix(s, x.literal) &&
				!(len(s) >= len(x.literal) && strings.EqualFold(s[:len(x.literal)], x.literal)) {
				return s, fmt.Errorf("expected '%s' before '%s'", x.literal, s)
			}
			s = s[len(x.literal):]
		case '[':
			saved := *f
			after, err := f.read(x.optional, s)
			if err != nil {
				*f = saved // the section is not there
				continue
			}
			s = after
		default:
			if s, err = f.readLetter(x, s, i+1 < len(parts) && startsWithDigit(parts[i+1])); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// startsWithDigit reports whether the next part is an adjacent number (yyyyMMdd), so that each
// number has exactly its digits.
func startsWithDigit(next part) bool {
	return next.letter != 0 && strings.IndexByte("uydDHhKkmsSAnw", next.letter) >= 0 ||
		strings.IndexByte("MLQ", next.letter) >= 0 && next.letter != 0 && next.n < 3
}

func (f *fields) readLetter(x part, s string, tight bool) (string, error) {
	switch x.letter {
	case 'G':
		return oneOf(s, []string{"AD", "Anno Domini", "CE"}, nil)
	case 'M', 'L':
		if x.n >= 3 {
			f.hasMonth = true
			return oneOf(s, monthNames(x.n), &f.month)
		}
	case 'E':
		f.hasWeekday = true
		var day int
		rest, err := oneOf(s, weekdayNames(x.n), &day)
		f.weekday = time.Weekday(day - 1).String()
		return rest, err
	case 'a':
		var half int
		rest, err := oneOf(s, []string{"AM", "PM"}, &half)
		f.pm = half == 2
		return rest, err
	case 'S':
		return f.fraction(x.n, s)
	case 'V', 'z', 'O', 'X', 'x', 'Z':
		return f.readZone(x, s)
	}
	least, most := x.n, x.n
	switch {
	case (x.letter == 'y' || x.letter == 'u') && x.n != 2 && !tight:
		most = max(x.n, 9)
	case x.n == 1 && !tight || x.letter == 'D' && !tight:
		most = 19
	case x.n == 1:
		most = 2
	}
	n, rest, err := digits(s, least, most)
	if err != nil {
		return s, err
	}
	return rest, f.set(x, n)
}

func digits(s string, least, most int) (int, string, error) {
	i := 0
	sign := strings.HasPrefix(s, "-") && most > 4
	if sign {
		s = s[1:]
	}
	for i < len(s) && i < min(most, 18) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i < least || i == 0 {
		return 0, s, fmt.Errorf("expected %d digits before '%s'", least, s)
	}
	n, _ := strconv.Atoi(s[:i])
	if sign {
		n = -n
	}
	return n, s[i:], nil
}

func (f *fields) set(x part, n int) error {
	if lo, hi := bounds(x.letter); n < lo || n > hi {
		return fmt.Errorf("%d does not lie between %d and %d", n, lo, hi)
	}
	switch x.letter {
	case 'y', 'u':
		if f.year = n; x.n == 2 {
			f.year = 2000 + n
		}
	case 'Q':
		if !f.hasMonth {
			f.month = 3*n - 2
		}
	case 'M', 'L':
		f.month, f.hasMonth = n, true
	case 'd':
		f.day = n
	case 'D':
		f.yearDay = n
	case 'H':
		f.hour = n
	case 'k':
		f.hour = n % 24
	case 'h', 'K':
		f.hour12 = n % 12
	case 'm':
		f.minute = n
	case 's':
		f.second = n
	case 'n':
		f.nano = n
	case 'A':
		f.milli, f.hasDayMilli = n, true
	default:
		return fmt.Errorf("the letter %c can be written, not read", x.letter)
	}
	return nil
}

// bounds returns the range of the number of a pattern character.
func bounds(letter byte) (lo, hi int) {
	switch letter {
	case 'Q':
		return 1, 4
	case 'M', 'L', 'h':
		return 1, 12
	case 'd':
		return 1, 31
	case 'D':
		return 1, 366
	case 'H':
		return 0, 23
	case 'K':
		return 0, 11
	case 'k':
		return 1, 24
	case 'm', 's':
		return 0, 59
	case 'A':
		return 0, 86_399_999
	case 'n':
		return 0, 999_999_999
	}
	return -999_999, 999_999
}

func (f *fields) fraction(n int, s string) (string, error) {
	v, rest, err := digits(s, n, n)
	if err != nil {
		return s, err
	}
	for range 9 - n {
		v *= 10
	}
	f.nano = v
	return rest, nil
}

func (f *fields) time() (time.Time, error) {
	if f.hour12 >= 0 {
		f.hour = f.hour12
		if f.pm {
			f.hour += 12
		}
	}
	if f.hasDayMilli {
		f.hour, f.minute, f.second, f.nano = f.milli/3600000, f.milli/60000%60, f.milli/1000%60, f.milli%1000*1e6
	}
	if f.yearDay > 0 {
		f.month, f.day = 1, f.yearDay
	}
	t := time.Date(f.year, time.Month(f.month), f.day, f.hour, f.minute, f.second, f.nano, f.zone)
	if f.yearDay == 0 {
		if last := time.Date(f.year, time.Month(f.month)+1, 0, 0, 0, 0, 0, time.UTC).Day(); f.day > last {
			return t, fmt.Errorf("the month has %d days", last)
		}
	} else if time.Date(f.year, 1, f.yearDay, 0, 0, 0, 0, time.UTC).Year() != f.year {
		return t, fmt.Errorf("the year has no day %d", f.yearDay)
	}
	if f.hasWeekday && t.Weekday().String() != f.weekday {
		return t, fmt.Errorf("the day is a %s, not a %s", t.Weekday(), f.weekday)
	}
	return t, nil
}

// oneOf matches the longest of some names, ignoring case, and sets its number, from 1.
func oneOf(s string, names []string, at *int) (string, error) {
	best := -1
	for i, n := range names {
		if len(s) >= len(n) && strings.EqualFold(s[:len(n)], n) && (best < 0 || len(n) > len(names[best])) {
			best = i
		}
	}
	if best < 0 {
		return s, fmt.Errorf("expected one of %s before '%s'", strings.Join(names, ", "), s)
	}
	if at != nil {
		*at = best + 1
	}
	return s[len(names[best]):], nil
}

func monthNames(n int) []string {
	out := make([]string, 12)
	for i := range out {
		out[i] = time.Month(i + 1).String()
		if n == 3 {
			out[i] = out[i][:3]
		}
	}
	return out
}

func weekdayNames(n int) []string {
	out := make([]string, 7)
	for i := range out {
		out[i] = time.Weekday(i).String()
		if n <= 3 {
			out[i] = out[i][:3]
		}
	}
	return out
}

// readZone reads an offset or the name of a zone.
func (f *fields) readZone(x part, s string) (string, error) {
	if x.letter == 'V' || x.letter == 'z' || x.letter == 'O' {
		n := 0
		for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || strings.IndexByte("/_+-:", s[n]) >= 0 || n > 0 && s[n] >= '0' && s[n] <= '9') {
			n++
		}
		z, err := Zone(s[:n])
		if err != nil {
			return s, err
		}
		f.zone = z
		return s[n:], nil
	}
	if len(s) > 0 && (s[0] == 'Z' || s[0] == 'z') && (x.letter == 'X' || x.letter == 'Z' && x.n == 5) {
		f.zone = time.UTC
		return s[1:], nil
	}
	n := 0
	for n < len(s) && (n == 0 && (s[0] == '+' || s[0] == '-') || n > 0 && (s[n] >= '0' && s[n] <= '9' || s[n] == ':')) {
		n++
	}
	if x.letter == 'Z' && x.n == 4 {
		return f.readZone(part{letter: 'O', n: 4}, s)
	}
	z, ok := offsetZone(s[:n])
	if !ok {
		return s, fmt.Errorf("expected an offset like +01:00 before '%s'", s)
	}
	f.zone = z
	return s[n:], nil
}
