package udf

import (
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
)

func TestPatternFormat(t *testing.T) {
	berlin, err := Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2021, 7, 4, 0, 5, 9, 78_900_000, berlin)
	for _, c := range []struct{ pattern, want string }{
		{"yyyy-MM-dd HH:mm:ss.SSS", "2021-07-04 00:05:09.078"},
		{"yy M d h:m:s a", "21 7 4 12:5:9 AM"},
		{"uuuu-DDD", "2021-185"},
		{"EEE, EEEE, EEEEE, e, ee", "Sun, Sunday, S, 1, 01"},
		{"MMM MMMM MMMMM LL", "Jul July J 07"},
		{"Q QQQ QQQQ", "3 Q3 3rd quarter"},
		{"K k H", "0 24 0"},
		{"S SSSSSS n A", "0 078900 78900000 309078"},
		{"z VV", "CEST Europe/Berlin"},
		{"X XX XXX x Z ZZZZ ZZZZZ O OOOO", "+02 +0200 +02:00 +02 +0200 GMT+02:00 +02:00 GMT+2 GMT+02:00"},
		{"'at' yyyy'T''o''clock' ''", "at 2021T'o'clock '"},
		{"yyyy[-MM[-dd]]", "2021-07-04"},
		{"G", "AD"},
		{"w", "26"},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := p.Format(at); got != c.want {
			t.Errorf("%s: got %s, want %s", c.pattern, got, c.want)
		}
	}
	utc, _ := ParsePattern("X XXX x Z VV z O")
	if got := utc.Format(at.UTC()); got != "Z Z +00 +0000 UTC UTC GMT" {
		t.Error(got)
	}
	india, _ := ParsePattern("X x XX O")
	z, _ := Zone("+05:30")
	if got := india.Format(at.In(z)); got != "+0530 +0530 +0530 GMT+5:30" {
		t.Error(got)
	}
}

func TestPatternParse(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{"yyyy-MM-dd'T'HH:mm:ssX", "2020-05-11T21:58:33z", "2020-05-11T21:58:33Z"},
		{"yyyy-MM-dd'T'HH:mm:ss[.SSS]X", "2020-05-11T21:58:33+02", "2020-05-11T21:58:33+02:00"},
		{"yyyyMMddHHmmssSSS", "20200511215833123", "2020-05-11T21:58:33.123Z"},
		{"dd-MMM-yyyy", "01-jan-2022", "2022-01-01T00:00:00Z"},
		{"d MMMM yy", "7 September 21", "2021-09-07T00:00:00Z"},
		{"hh:mm:ss a", "01:00:00 Pm", "1970-01-01T13:00:00Z"},
		{"hh a", "12 AM", "1970-01-01T00:00:00Z"},
		{"kk", "24", "1970-01-01T00:00:00Z"},
		{"yyyy-DDD", "2020-366", "2020-12-31T00:00:00Z"},
		{"EEE dd MMM yyyy", "Mon 11 May 2020", "2020-05-11T00:00:00Z"},
		{"yyyy-MM-dd VV", "2020-05-11 Europe/Paris", "2020-05-11T00:00:00+02:00"},
		{"yyyy-MM-dd z", "2020-05-11 PST", "2020-05-11T00:00:00-07:00"},
		{"yyyy-MM-dd'Lit'", "2018-05-11Lit", "2018-05-11T00:00:00Z"},
		{"yyyy", "2018", "2018-01-01T00:00:00Z"},
		{"yyyy-MM-dd HH:mm:ssZ", "2018-05-11 00:00:00-0130", "2018-05-11T00:00:00-01:30"},
		{"A", "1000", "1970-01-01T00:00:01Z"},
		{"yyyy-MM-dd", "2021-02-29", "error: the month has 28 days"},
		{"yyyy-MM-dd", "2021-2-29", "error: expected 2 digits"},
		{"yyyy-MM-dd", "2021-02-28x", "error: 'x' is left over"},
		{"yyyy-MM-dd", "2021-13-01", "error: 13 does not lie between 1 and 12"},
		{"yyyy-DDD", "2021-366", "error: the year has no day 366"},
		{"EEE yyyy-MM-dd", "Tue 2020-05-11", "error: the day is a Monday"},
		{"HH", "24", "error: 24 does not lie"},
		{"MMM", "Foo", "error: one of Jan"},
		{"X", "nowhere", "error: an offset"},
		{"VV", "Mars/Base", "error: 'Mars/Base' is not a time zone"},
		{"yyyy", "", "error: 4 digits"},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got := ""
		if at, err := p.Parse(c.text, time.UTC); err != nil {
			got = err.Error()
		} else {
			got = at.Format(time.RFC3339Nano)
		}
		if want, bad := strings.CutPrefix(c.want, "error: "); got != c.want && !(bad && strings.Contains(got, want)) {
			t.Errorf("%s of %s: got %s, want %s", c.pattern, c.text, got, c.want)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for _, pattern := range []string{"b", "yyyy-MM-ddTHH", "'open", "[yyyy", "yyyy]", "{", "VVV", "HHH", "aa", strings.Repeat("y", 600), strings.Repeat("[", 100)} {
		if _, err := ParsePattern(pattern); err == nil {
			t.Errorf("%s: no error", pattern)
		}
	}
}

func TestZones(t *testing.T) {
	for _, c := range []struct {
		name   string
		offset int
	}{{"UTC", 0}, {"z", 0}, {"gmt", 0}, {"+5", 18000}, {"UTC-08:00", -28800}, {"GMT+0530", 19800}, {"Asia/Tokyo", 32400}, {"JST", 32400}} {
		z, err := Zone(c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, offset := time.Unix(0, 0).In(z).Zone(); offset != c.offset {
			t.Errorf("%s: %d, want %d", c.name, offset, c.offset)
		}
	}
	for _, name := range []string{"", "Local", "local", "Nowhere", "+99", "+1:60", "../etc/passwd", "+"} {
		if _, err := Zone(name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTimes(t *testing.T) {
	at := arrow.Timestamp(1526075913123) // 2018-05-11T21:58:33.123Z
	check(t, []callCase{
		{
			"TIMESTAMPTOSTRING",
			a(int64(1526075913000), "yyyy-MM-dd HH:mm:ss zzz", "Europe/London"),
			"2018-05-11 22:58:33 BST",
		},
		{"FORMAT_TIMESTAMP", a(at, "yyyy", "Nowhere"), "error: 'Nowhere' is not a time zone"},
		{"FORMAT_TIMESTAMP", a(at, "b"), "error: the format has no meaning for 'b'"},
		{"DATETOSTRING", a(-1, "dd-MM-yyyy'Sophia'"), "31-12-1969Sophia"},
		{"STRINGTODATE", a("foo", "yyyyMMdd"), "error: 'foo' does not fit"},
		{"PARSE_TIME", a("11/05/19", "HH/mm/ss"), "11:05:19"},
		{"PARSE_DATE", a("2018-05-11 23:00 -0500", "yyyy-MM-dd HH:mm Z"), "2018-05-11"},
		{
			"CONVERT_TZ",
			a(arrow.Timestamp(1589234313000), "America/Los_Angeles", "America/New_York"),
			"2020-05-12T00:58:33.000",
		},
		{"DATEADD", a("HOURS", 25, arrow.Date32(1)), "1970-01-03"},
		{"DATESUB", a("DAYS", -5, arrow.Date32(5)), "1970-01-11"},
		{"DATEADD", a("MONTHS", 1, arrow.Date32(30)), "1970-02-28"},
		{"DATEADD", a("DAYS", 2147483647, arrow.Date32(2147483647)), "error: the result does not fit"},
		{"DATEADD", a("FORTNIGHTS", 1, arrow.Date32(1)), "error: 'FORTNIGHTS' is not a unit of time"},
		{
			"DATEADD",
			a(arrow.Date32(1), 1, arrow.Date32(1)),
			"bind: function DATEADD takes (STRING, INTEGER, DATE), not (DATE, INTEGER, DATE)",
		},
		{"TIMEADD", a("MILLISECONDS", 10, arrow.Time32(86399995)), "00:00:00.005"},
		{"TIMESUB", a("HOURS", 1, arrow.Time32(0)), "23:00"},
		{"TIMEADD", a("MONTHS", 1, arrow.Time32(0)), "error: months and years"},
		{
			"TIMESTAMPADD",
			a("WEEKS", 2147483647, arrow.Timestamp(9223372036854775807)),
			"error: the result does not fit",
		},
		{"DATE_TRUNC", a("week", at), "2018-05-07T00:00:00.000"},
		{"DATE_TRUNC", a("day", at, "America/New_York"), "2018-05-11T04:00:00.000"},
		{"DATE_TRUNC", a("quarter", arrow.Date32(17662)), "2018-04-01"},
		{"DATE_TRUNC", a("eon", at), "error: 'eon' is not a unit of time"},
		{"EXTRACT", a("millisecond", at), "123"},
		{"EXTRACT", a("isodow", arrow.Date32(0)), "4"},
		{"EXTRACT", a("nope", at), "error: 'nope' is not a part"},
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("yyyy-MM-dd'T'HH:mm:ss[.SSS]X", "2020-05-11T21:58:33.5+02")
	f.Add("h K k a E z VV O ZZZZ ''", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		_, _ = p.Parse(text, time.UTC)
		_, _ = p.Parse(p.Format(time.UnixMilli(1526075913123).UTC()), time.UTC)
	})
}
