package udf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Pattern is a date and time format in the letters of Java's DateTimeFormatter, which ksqlDB's
// SQL uses:
//
//	G era · y u year · Q quarter · M L month · w week · d day of month · D day of year · E day of week · e its number (Sunday 1)
//	a AM/PM · H 0-23 · h 1-12 · K 0-11 · k 1-24 · m minute · s second · S fraction · A milliseconds of the day · n nanoseconds
//	VV zone · z zone's name · O GMT+1 · X x Z offset · 'text' · '' a quote · [optional]
//
// Repeating a character sets the minimum number of digits, or the length of a name (MMM Jan,
// MMMM January). Names are English, and parsing ignores case.
type Pattern struct {
	text  string
	parts []part
}

// part is a run of one letter, a literal, or an optional section.
type part struct {
	letter   byte // 0: a literal; '[': optional
	n        int
	literal  string
	optional []part
}

const letters = "GyuQMLwdDEeaHhKkmsSAnVzOXxZ"

// maxPattern bounds a pattern's length.
const maxPattern = 512

// ParsePattern compiles a pattern. Characters without a meaning and unclosed quotes and
// brackets are errors.
func ParsePattern(s string) (*Pattern, error) {
	if len(s) > maxPattern {
		return nil, fmt.Errorf("the format is longer than %d bytes", maxPattern)
	}
	parts, rest, err := parseParts(s, 0)
	if err == nil && rest != "" {
		err = fmt.Errorf("the format '%s' has a ] without a [", s)
	}
	return &Pattern{s, parts}, err
}

func parseParts(s string, depth int) (parts []part, rest string, err error) {
	for s != "" {
		c := s[0]
		switch {
		case c == ']':
			return parts, s, nil
		case c == '[':
			inner, rest, err := parseParts(s[1:], depth+1)
			if err != nil {
				return nil, "", err
			}
			if rest == "" || depth > 8 {
				return nil, "", fmt.Errorf("the format has a [ without a ]: '%s'", s)
			}
			parts, s = append(parts, part{letter: '[', optional: inner}), rest[1:]
		case c == '\'':
			text, rest, ok := quoted(s[1:])
			if !ok {
				return nil, "", fmt.Errorf("the format has a quote that is not closed: %s", s)
			}
			parts, s = append(parts, part{literal: text}), rest
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			n := 1
			for n < len(s) && s[n] == c {
				n++
			}
			if strings.IndexByte(letters, c) < 0 || !lengthFits(c, n) {
				return nil, "", fmt.Errorf("the format has no meaning for '%s'; put text in quotes", s[:n])
			}
			parts, s = append(parts, part{letter: c, n: n}), s[n:]
		case c == '{' || c == '}' || c == '#':
			return nil, "", fmt.Errorf("the format may use %q only in quotes", string(c))
		default:
			_, n := utf8.DecodeRuneInString(s)
			parts, s = append(parts, part{literal: s[:n]}), s[n:]
		}
	}
	return parts, "", nil
}

// quoted parses text up to its closing quote, after the opening one; two quotes are one quote
// character.
func quoted(s string) (text, rest string, ok bool) {
	if strings.HasPrefix(s, "'") {
		return "'", s[1:], true
	}
	for {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			return "", "", false
		}
		text += s[:i]
		if s = s[i+1:]; !strings.HasPrefix(s, "'") {
			return text, s, true
		}
		text, s = text+"'", s[1:]
	}
}

func lengthFits(c byte, n int) bool {
	switch c {
	case 'y', 'u', 'A', 'n':
		return n <= 19
	case 'S':
		return n <= 9
	case 'D':
		return n <= 3
	case 'V':
		return n == 2
	case 'd', 'H', 'h', 'K', 'k', 'm', 's', 'w':
		return n <= 2
	case 'a':
		return n == 1
	case 'O':
		return n == 1 || n == 4
	case 'z':
		return n <= 4
	case 'Q', 'G':
		return n <= 4
	}
	return n <= 5
}

// Format writes a time.
func (p *Pattern) Format(t time.Time) string {
	var out strings.Builder
	formatParts(&out, p.parts, t)
	return out.String()
}

func formatParts(out *strings.Builder, parts []part, t time.Time) {
	for _, x := range parts {
		switch x.letter {
		case 0:
			out.WriteString(x.literal)
		case '[':
			formatParts(out, x.optional, t)
		default:
			out.WriteString(x.format(t))
		}
	}
}

func (x part) format(t time.Time) string {
	switch x.letter {
	case 'G':
		return pick(x.n, "AD", "AD", "Anno Domini")
	case 'y', 'u':
		if x.n == 2 {
			return padded(int64((t.Year()%100+100)%100), 2)
		}
		return padded(int64(t.Year()), x.n)
	case 'Q':
		q := (int(t.Month()) + 2) / 3
		return pick(
			x.n,
			padded(int64(q), min(x.n, 2)),
			fmt.Sprintf("Q%d", q),
			[...]string{"1st", "2nd", "3rd", "4th"}[q-1]+" quarter",
		)
	case 'M', 'L':
		if x.n == 5 {
			return t.Month().String()[:1]
		}
		return pick(x.n, padded(int64(t.Month()), min(x.n, 2)), t.Month().String()[:3], t.Month().String())
	case 'E':
		return weekday(max(x.n, 3), t)
	case 'e':
		if x.n > 2 {
			return weekday(x.n, t)
		}
	case 'a':
		return t.Format("PM")
	case 'S':
		return padded(int64(t.Nanosecond()), 9)[:x.n]
	case 'V':
		if t.Location() == time.UTC {
			return "UTC"
		}
		return t.Location().String()
	case 'z':
		return zoneName(t)
	case 'O', 'X', 'x', 'Z':
		return x.offset(t)
	}
	return padded(x.number(t), x.n)
}

// padded writes a number with zeros up to n digits.
func padded(v int64, n int) string {
	var buf [24]byte
	digits := strconv.AppendInt(buf[:0], max(v, -v), 10)
	if v >= 0 && len(digits) >= n {
		return string(digits)
	}
	sign := ""
	if v < 0 {
		sign = "-"
	}
	return sign + strings.Repeat("0", max(0, n-len(digits))) + string(digits)
}

func pick(n int, digits, short, long string) string {
	switch n {
	case 1, 2:
		return digits
	case 3:
		return short
	}
	return long
}

func weekday(n int, t time.Time) string {
	switch n {
	case 3:
		return t.Weekday().String()[:3]
	case 5:
		return t.Weekday().String()[:1]
	}
	return t.Weekday().String()
}

func zoneName(t time.Time) string {
	name, _ := t.Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return t.Format("-07:00")
	}
	return name
}

func (x part) number(t time.Time) int64 {
	day := time.Duration(
		t.Hour(),
	)*time.Hour + time.Duration(
		t.Minute(),
	)*time.Minute + time.Duration(
		t.Second(),
	)*time.Second + time.Duration(
		t.Nanosecond(),
	)
	switch x.letter {
	case 'w':
		_, week := t.ISOWeek()
		return int64(week)
	case 'd':
		return int64(t.Day())
	case 'D':
		return int64(t.YearDay())
	case 'e':
		return int64(t.Weekday()) + 1
	case 'H':
		return int64(t.Hour())
	case 'h':
		return int64((t.Hour()+11)%12 + 1)
	case 'K':
		return int64(t.Hour() % 12)
	case 'k':
		return int64((t.Hour()+23)%24 + 1)
	case 'm':
		return int64(t.Minute())
	case 's':
		return int64(t.Second())
	case 'A':
		return day.Milliseconds()
	}
	return int64(t.Nanosecond())
}

// offset formats the difference to UTC: X as Z for none, x never, Z as +0000 or (ZZZZ, O)
// GMT+1. The repetition count selects minutes, a colon and seconds.
func (x part) offset(t time.Time) string {
	_, seconds := t.Zone()
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	h, m, s := seconds/3600, seconds/60%60, seconds%60
	n := x.n
	switch {
	case x.letter == 'O' || x.letter == 'Z' && n == 4:
		return gmt(sign, h, m, n == 4)
	case seconds == 0 && (x.letter == 'X' || x.letter == 'Z' && n == 5):
		return "Z"
	case x.letter == 'Z' && n == 5:
		n = 3
	case x.letter == 'Z':
		n = 2
	}
	colon := ""
	if n == 3 || n == 5 {
		colon = ":"
	}
	out := fmt.Sprintf("%s%02d", sign, h)
	if n > 1 || m != 0 {
		out += fmt.Sprintf("%s%02d", colon, m)
	}
	if n > 3 && s != 0 {
		out += fmt.Sprintf("%s%02d", colon, s)
	}
	return out
}

func gmt(sign string, h, m int, full bool) string {
	switch {
	case h == 0 && m == 0:
		return "GMT"
	case full:
		return fmt.Sprintf("GMT%s%02d:%02d", sign, h, m)
	case m == 0:
		return fmt.Sprintf("GMT%s%d", sign, h)
	}
	return fmt.Sprintf("GMT%s%d:%02d", sign, h, m)
}
