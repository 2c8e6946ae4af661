package udf

import (
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

const dayMs = 86_400_000

func toMillis(t time.Time) int64 { return t.UnixMilli() }

func ofDay(days int64) time.Time { return time.Unix(days*86400, 0).UTC() }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func dayOf(t time.Time) int64 { return floorDiv(t.Unix(), 86400) }

// formats returns a formatter that compiles a pattern and looks up a zone once for consecutive
// rows with the same.
func formats() func(t time.Time, pattern, zone string) (string, error) {
	patterns, zones := remember(ParsePattern), remember(Zone)
	return func(t time.Time, pattern, zone string) (string, error) {
		p, err := patterns(pattern)
		if err != nil {
			return "", err
		}
		z, err := zones(zone)
		if err != nil {
			return "", err
		}
		return p.Format(t.In(z)), nil
	}
}

func parses() func(s, pattern, zone string) (time.Time, error) {
	patterns, zones := remember(ParsePattern), remember(Zone)
	return func(s, pattern, zone string) (time.Time, error) {
		p, err := patterns(pattern)
		if err != nil {
			return time.Time{}, err
		}
		z, err := zones(zone)
		if err != nil {
			return time.Time{}, err
		}
		return p.Parse(s, z)
	}
}

// clockTime returns the time of day in the text itself: PARSE_TIME has no zone argument, so a
// zone in the text is ignored.
func clockTime(t time.Time) arrow.Time32 {
	return arrow.Time32(t.Hour()*3_600_000 + t.Minute()*60_000 + t.Second()*1000 + t.Nanosecond()/1_000_000)
}

func localDay(t time.Time) int64 {
	return dayOf(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC))
}

// formatter returns FORMAT_x(value, pattern), and with a zone FORMAT_x(value, pattern, zone).
func formatter[T Native](name string, at func(T) time.Time, zoned bool) []Scalar {
	two := made2(name, "", func(Env) func(T, string) (string, error) {
		f := formats()
		return func(v T, pattern string) (string, error) { return f(at(v), pattern, "UTC") }
	})
	if !zoned {
		return []Scalar{two}
	}
	return []Scalar{two, made3(name, "", func(Env) func(T, string, string) (string, error) {
		f := formats()
		return func(v T, pattern, zone string) (string, error) { return f(at(v), pattern, zone) }
	})}
}

func parser[T Native](name string, of func(time.Time) T, zoned bool) []Scalar {
	two := made2(name, "", func(Env) func(string, string) (T, error) {
		f := parses()
		return func(s, pattern string) (T, error) {
			t, err := f(s, pattern, "UTC")
			return of(t), err
		}
	})
	if !zoned {
		return []Scalar{two}
	}
	return []Scalar{two, made3(name, "", func(Env) func(string, string, string) (T, error) {
		f := parses()
		return func(s, pattern, zone string) (T, error) {
			t, err := f(s, pattern, zone)
			return of(t), err
		}
	})}
}

func ofTimestamp(v arrow.Timestamp) time.Time { return time.UnixMilli(int64(v)).UTC() }
func ofMillis(v int64) time.Time              { return time.UnixMilli(v).UTC() }
func ofDate(v arrow.Date32) time.Time         { return ofDay(int64(v)) }
func ofTimeOfDay(v arrow.Time32) time.Time    { return time.UnixMilli(int64(v)).UTC() }

const (
	noon   = "FROM_UNIXTIME(1526075913000)"
	inZone = " The zone, UTC if it is not given, is a name such as 'Europe/London' or an offset."
)

var (
	_ = builtin(overload("FORMAT_TIMESTAMP", "a TIMESTAMP as text: FORMAT_TIMESTAMP(time, format[, zone]), the format in the letters of Java's DateTimeFormatter."+inZone,
		[]Example{{"FORMAT_TIMESTAMP(" + noon + ", 'yyyy-MM-dd HH:mm:ss')", "2018-05-11 21:58:33"},
			{"FORMAT_TIMESTAMP(" + noon + ", 'HH:mm zzz', 'Europe/London')", "22:58 BST"}}, formatter("FORMAT_TIMESTAMP", ofTimestamp, true)...))
	_ = builtin(overload("TIMESTAMPTOSTRING", "milliseconds since 1970 as text: TIMESTAMPTOSTRING(ms, format[, zone])."+inZone,
		[]Example{{"TIMESTAMPTOSTRING(1526075913000, 'dd MMM yyyy')", "11 May 2018"}}, formatter("TIMESTAMPTOSTRING", ofMillis, true)...))
	_ = builtin(overload("DATE_FORMAT", "a TIMESTAMP as text, like FORMAT_TIMESTAMP",
		[]Example{{"DATE_FORMAT(" + noon + ", 'yyyy-MM-dd')", "2018-05-11"}}, formatter("DATE_FORMAT", ofTimestamp, true)...))
	_ = builtin(overload("FORMAT_DATE", "a DATE as text, in the letters of Java's DateTimeFormatter",
		[]Example{{"FORMAT_DATE(FROM_DAYS(17662), 'dd/MM/yyyy')", "11/05/2018"}}, formatter("FORMAT_DATE", ofDate, false)...))
	_ = builtin(overload("DATETOSTRING", "days since 1970 as text, in the letters of Java's DateTimeFormatter",
		[]Example{{"DATETOSTRING(18993, 'dd-MMM-yyyy')", "01-Jan-2022"}}, formatter("DATETOSTRING", func(v int32) time.Time { return ofDay(int64(v)) }, false)...))
	_ = builtin(overload("FORMAT_TIME", "a TIME as text, in the letters of Java's DateTimeFormatter",
		[]Example{{"FORMAT_TIME(CAST('13:05:00' AS TIME), 'hh:mm a')", "01:05 PM"}}, formatter("FORMAT_TIME", ofTimeOfDay, false)...))
)

var (
	_ = builtin(overload("PARSE_TIMESTAMP", "the TIMESTAMP in a text: PARSE_TIMESTAMP(text, format[, zone]); a zone in the text counts first."+inZone,
		[]Example{{"PARSE_TIMESTAMP('2018-05-11T21:58:33Z', 'yyyy-MM-dd''T''HH:mm:ssX')", "2018-05-11T21:58:33.000"},
			{"PARSE_TIMESTAMP('11/05/18 22:58', 'dd/MM/yy HH:mm', 'Europe/London')", "2018-05-11T21:58:00.000"}},
		parser("PARSE_TIMESTAMP", func(t time.Time) arrow.Timestamp { return arrow.Timestamp(toMillis(t)) }, true)...))
	_ = builtin(overload("STRINGTOTIMESTAMP", "the milliseconds since 1970 in a text: STRINGTOTIMESTAMP(text, format[, zone])."+inZone,
		[]Example{{"STRINGTOTIMESTAMP('1970-01-02', 'yyyy-MM-dd')", "86400000"}}, parser("STRINGTOTIMESTAMP", toMillis, true)...))
	_ = builtin(overload("PARSE_DATE", "the DATE in a text, in the letters of Java's DateTimeFormatter",
		[]Example{{"PARSE_DATE('11 May 2018', 'dd MMM yyyy')", "2018-05-11"}}, parser("PARSE_DATE", func(t time.Time) arrow.Date32 { return arrow.Date32(localDay(t)) }, false)...))
	_ = builtin(overload("STRINGTODATE", "the days since 1970 of a date in a text, in the letters of Java's DateTimeFormatter",
		[]Example{{"STRINGTODATE('11/05/2018', 'dd/MM/yyyy')", "17662"}}, parser("STRINGTODATE", func(t time.Time) int32 { return int32(localDay(t)) }, false)...))
	_ = builtin(overload("PARSE_TIME", "the TIME in a text, in the letters of Java's DateTimeFormatter",
		[]Example{{"PARSE_TIME('01:30:00 Pm', 'hh:mm:ss a')", "13:30"}}, parser("PARSE_TIME", clockTime, false)...))
)

var (
	_ = builtin(Func1("FROM_UNIXTIME", "milliseconds since 1970 as a TIMESTAMP", func(ms int64) arrow.Timestamp { return arrow.Timestamp(ms) }, Example{"FROM_UNIXTIME(0)", "1970-01-01T00:00:00.000"}))
	_ = builtin(Func1("FROM_DAYS", "days since 1970 as a DATE", func(days int32) arrow.Date32 { return arrow.Date32(days) }, Example{"FROM_DAYS(10)", "1970-01-11"}))
	_ = builtin(made3("CONVERT_TZ", "a TIMESTAMP whose clock shows one zone's time, moved to what another zone's clock shows then: CONVERT_TZ(time, from, to)",
		func(Env) func(arrow.Timestamp, string, string) (arrow.Timestamp, error) {
			froms, tos := remember(Zone), remember(Zone)
			return func(v arrow.Timestamp, from, to string) (arrow.Timestamp, error) {
				f, err := froms(from)
				if err != nil {
					return 0, err
				}
				t, err := tos(to)
				if err != nil {
					return 0, err
				}
				return convertZone(v, f, t), nil
			}
		}, Example{"CONVERT_TZ(FROM_UNIXTIME(100), 'America/Los_Angeles', 'America/New_York')", "1970-01-01T03:00:00.100"}))
)

func convertZone(v arrow.Timestamp, from, to *time.Location) arrow.Timestamp {
	u := ofTimestamp(v)
	at := time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), from)
	_, offset := at.In(to).Zone()
	return arrow.Timestamp(at.UnixMilli() + int64(offset)*1000)
}

// The clock.
var (
	_ = builtin(clock("NOW", "the present time, as a TIMESTAMP"))
	_ = builtin(clock("PROCTIME", "the present time, as a TIMESTAMP"))
	_ = builtin(Scalar{Name: "UNIX_TIMESTAMP", Doc: "a TIMESTAMP as milliseconds since 1970; without an argument the present time", Within: sinceEpoch("UNIX_TIMESTAMP",
		Func1("UNIX_TIMESTAMP", "", func(t arrow.Timestamp) int64 { return int64(t) }), flow.Bigint, func(ms int64) any { return ms }),
		Examples: []Example{{"UNIX_TIMESTAMP(FROM_UNIXTIME(100))", "100"}}})
	_ = builtin(Scalar{Name: "UNIX_DATE", Doc: "a DATE as days since 1970; without an argument today's, in UTC", Within: sinceEpoch("UNIX_DATE",
		Func1("UNIX_DATE", "", func(d arrow.Date32) int32 { return int32(d) }), flow.Int, func(ms int64) any { return int32(floorDiv(ms, dayMs)) }),
		Examples: []Example{{"UNIX_DATE(FROM_DAYS(10))", "10"}}})
)

func clock(name, doc string) Scalar {
	return Scalar{Name: name, Doc: doc, Within: func(w *World) func([]flow.Type) (Signature, error) {
		return func(have []flow.Type) (Signature, error) {
			return w.present(flow.Timestamp, func(ms int64) any { return arrow.Timestamp(ms) }), Accept(name, have)
		}
	}, Examples: []Example{{name + "() > FROM_UNIXTIME(0)", "true"}}}
}

func sinceEpoch(name string, one Scalar, t flow.Type, of func(ms int64) any) func(*World) func([]flow.Type) (Signature, error) {
	return func(w *World) func([]flow.Type) (Signature, error) {
		return func(have []flow.Type) (Signature, error) {
			if len(have) == 0 {
				return w.present(t, of), nil
			}
			return one.Bind(have)
		}
	}
}

// present returns the time of the batch to which a row belongs.
func (w *World) present(t flow.Type, of func(ms int64) any) Signature {
	return Signature{Result: t, Volatile: true, Kernel: func(_ []arrow.Array, rows int, env Env) arrow.Array {
		if w.now == nil {
			for i := range rows {
				env.Fail(i, errWorld)
			}
			return flow.Repeat(t, nil, rows)
		}
		return flow.Repeat(t, of(w.now()), rows)
	}}
}
