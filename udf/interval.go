package udf

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
)

// A unit of time is a word such as DAY or DAYS. Functions accept it as their first argument, as
// a bare word or a text.

const units = "units: MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR"

// unit is a number of milliseconds or of months.
type unit struct{ ms, months int64 }

func unitOf(name string) (unit, error) {
	switch strings.TrimSuffix(upper(name), "S") {
	case "MILLISECOND":
		return unit{ms: 1}, nil
	case "SECOND":
		return unit{ms: 1000}, nil
	case "MINUTE":
		return unit{ms: 60_000}, nil
	case "HOUR":
		return unit{ms: 3_600_000}, nil
	case "DAY":
		return unit{ms: dayMs}, nil
	case "WEEK":
		return unit{ms: 7 * dayMs}, nil
	case "MONTH":
		return unit{months: 1}, nil
	case "QUARTER":
		return unit{months: 3}, nil
	case "YEAR":
		return unit{months: 12}, nil
	}
	return unit{}, fmt.Errorf("%s is not a unit of time; %s", quote(name), units)
}

// add adds n units to milliseconds. Adding months preserves the day of the month, or uses the
// last day of a shorter month.
func (u unit) add(ms, n int64) (int64, error) {
	if u.months == 0 {
		if n != 0 && (n > math.MaxInt64/u.ms || n < -math.MaxInt64/u.ms) {
			return 0, errWide
		}
		sum := ms + n*u.ms
		if (ms^sum)&(n*u.ms^sum) < 0 {
			return 0, errWide
		}
		return sum, nil
	}
	if n > 1_000_000 || n < -1_000_000 {
		return 0, errWide
	}
	t := time.UnixMilli(ms).UTC()
	first := time.Date(
		t.Year(),
		t.Month()+time.Month(n*u.months),
		1,
		t.Hour(),
		t.Minute(),
		t.Second(),
		t.Nanosecond(),
		time.UTC,
	)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1).UnixMilli(), nil
}

func moves[T Native](
	name, doc string,
	sign int64,
	move func(u unit, v T, n int64) (T, error),
	example Example,
) Scalar {
	s := made3(name, doc+"; "+units, func(Env) func(string, int32, T) (T, error) {
		find := remember(unitOf)
		return func(word string, n int32, v T) (T, error) {
			u, err := find(word)
			if err != nil {
				return v, err
			}
			return move(u, v, sign*int64(n))
		}
	}, example)
	s.Words = true
	return s
}

func moveTimestamp(u unit, v arrow.Timestamp, n int64) (arrow.Timestamp, error) {
	ms, err := u.add(int64(v), n)
	return arrow.Timestamp(ms), err
}

func moveDate(u unit, v arrow.Date32, n int64) (arrow.Date32, error) {
	ms, err := u.add(int64(v)*dayMs, n)
	days := floorDiv(ms, dayMs)
	if err == nil && days != int64(int32(days)) {
		err = errWide
	}
	return arrow.Date32(days), err
}

// moveTime stays within the day: an hour after 23:30 is 00:30.
func moveTime(u unit, v arrow.Time32, n int64) (arrow.Time32, error) {
	if u.months != 0 {
		return v, fmt.Errorf("months and years cannot be added to a TIME")
	}
	ms := int64(v) + n%dayMs*u.ms%dayMs
	return arrow.Time32(ms - floorDiv(ms, dayMs)*dayMs), nil
}

var (
	_ = builtin(
		moves(
			"DATEADD",
			"a DATE some units later: DATEADD(unit, n, date)",
			1,
			moveDate,
			Example{"DATEADD(DAYS, 10, FROM_DAYS(0))", "1970-01-11"},
		),
	)
	_ = builtin(
		moves(
			"DATESUB",
			"a DATE some units earlier: DATESUB(unit, n, date)",
			-1,
			moveDate,
			Example{"DATESUB(DAYS, 10, FROM_DAYS(10))", "1970-01-01"},
		),
	)
	_ = builtin(
		moves(
			"TIMEADD",
			"a TIME some units later, past midnight from the start: TIMEADD(unit, n, time)",
			1,
			moveTime,
			Example{"TIMEADD(HOURS, 2, CAST('23:30' AS TIME))", "01:30"},
		),
	)
	_ = builtin(
		moves(
			"TIMESUB",
			"a TIME some units earlier, past midnight from the end: TIMESUB(unit, n, time)",
			-1,
			moveTime,
			Example{"TIMESUB(MINUTES, 30, CAST('01:30' AS TIME))", "01:00"},
		),
	)
	_ = builtin(
		moves(
			"TIMESTAMPADD",
			"a TIMESTAMP some units later: TIMESTAMPADD(unit, n, time)",
			1,
			moveTimestamp,
			Example{"TIMESTAMPADD(SECONDS, 5, FROM_UNIXTIME(0))", "1970-01-01T00:00:05.000"},
		),
	)
	_ = builtin(
		moves(
			"TIMESTAMPSUB",
			"a TIMESTAMP some units earlier: TIMESTAMPSUB(unit, n, time)",
			-1,
			moveTimestamp,
			Example{"TIMESTAMPSUB(MONTHS, 1, FROM_UNIXTIME(0))", "1969-12-01T00:00:00.000"},
		),
	)
)

var _ = builtin(
	words(overload(
		"DATE_TRUNC",
		"a TIMESTAMP or DATE at the start of its unit: DATE_TRUNC(unit, time[, zone]); a week starts on Monday; "+units,
		[]Example{
			{"DATE_TRUNC('hour', " + noon + ")", "2018-05-11T21:00:00.000"},
			{"DATE_TRUNC('month', " + noon + ")", "2018-05-01T00:00:00.000"},
		},
		Try2("DATE_TRUNC", "", func(word string, d arrow.Date32) (arrow.Date32, error) {
			t, err := startOf(word, ofDate(d))
			return arrow.Date32(dayOf(t)), err
		}),
		Try2("DATE_TRUNC", "", func(word string, v arrow.Timestamp) (arrow.Timestamp, error) {
			t, err := startOf(word, ofTimestamp(v))
			return arrow.Timestamp(t.UnixMilli()), err
		}),
		made3("DATE_TRUNC", "", func(Env) func(string, arrow.Timestamp, string) (arrow.Timestamp, error) {
			zones := remember(Zone)
			return func(word string, v arrow.Timestamp, zone string) (arrow.Timestamp, error) {
				z, err := zones(zone)
				if err != nil {
					return 0, err
				}
				t, err := startOf(word, ofTimestamp(v).In(z))
				return arrow.Timestamp(t.UnixMilli()), err
			}
		}),
	)),
)

func words(s Scalar) Scalar {
	s.Words = true
	return s
}

func startOf(word string, t time.Time) (time.Time, error) {
	y, m, d := t.Date()
	hour, minute, second, ms := t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1e6*1e6
	switch strings.TrimSuffix(upper(word), "S") {
	case "YEAR":
		m, d, hour, minute, second, ms = 1, 1, 0, 0, 0, 0
	case "QUARTER":
		m, d, hour, minute, second, ms = (m-1)/3*3+1, 1, 0, 0, 0, 0
	case "MONTH":
		d, hour, minute, second, ms = 1, 0, 0, 0, 0
	case "WEEK":
		d, hour, minute, second, ms = d-(int(t.Weekday())+6)%7, 0, 0, 0, 0
	case "DAY":
		hour, minute, second, ms = 0, 0, 0, 0
	case "HOUR":
		minute, second, ms = 0, 0, 0
	case "MINUTE":
		second, ms = 0, 0
	case "SECOND":
		ms = 0
	case "MILLISECOND":
	default:
		_, err := unitOf(word)
		return t, err
	}
	return time.Date(y, m, d, hour, minute, second, ms, t.Location()), nil
}

var _ = builtin(
	words(overload(
		"EXTRACT",
		"a part of a TIMESTAMP, DATE or TIME as a BIGINT, EXTRACT(part FROM time): YEAR, QUARTER, MONTH, WEEK "+
			"(ISO), DAY, DOW (Sunday 0), ISODOW (Monday 1), DOY, HOUR, MINUTE, SECOND, MILLISECOND or EPOCH "+
			"(seconds)",
		[]Example{{"EXTRACT(YEAR FROM " + noon + ")", "2018"}, {"EXTRACT(DOW FROM " + noon + ")", "5"}},
		Try2("EXTRACT", "", func(word string, v arrow.Date32) (int64, error) { return extract(word, ofDate(v)) }),
		Try2(
			"EXTRACT",
			"",
			func(word string, v arrow.Time32) (int64, error) { return extract(word, ofTimeOfDay(v)) },
		),
		Try2(
			"EXTRACT",
			"",
			func(word string, v arrow.Timestamp) (int64, error) { return extract(word, ofTimestamp(v)) },
		),
	)),
)

func extract(word string, t time.Time) (int64, error) {
	switch upper(word) {
	case "YEAR":
		return int64(t.Year()), nil
	case "QUARTER":
		return int64(t.Month()-1)/3 + 1, nil
	case "MONTH":
		return int64(t.Month()), nil
	case "WEEK":
		_, week := t.ISOWeek()
		return int64(week), nil
	case "DAY":
		return int64(t.Day()), nil
	case "DOW":
		return int64(t.Weekday()), nil
	case "ISODOW":
		return int64(t.Weekday()+6)%7 + 1, nil
	case "DOY":
		return int64(t.YearDay()), nil
	case "HOUR":
		return int64(t.Hour()), nil
	case "MINUTE":
		return int64(t.Minute()), nil
	case "SECOND":
		return int64(t.Second()), nil
	case "MILLISECOND":
		return int64(t.Nanosecond() / 1e6), nil
	case "EPOCH":
		return t.Unix(), nil
	}
	return 0, fmt.Errorf("%s is not a part of a time", quote(word))
}

func init() {
	for _, p := range []struct{ name, want string }{{"YEAR", "2018"}, {"MONTH", "5"}, {"DAY", "11"}, {"HOUR", "21"}, {"MINUTE", "58"}, {"SECOND", "33"}} {
		builtin(
			overload(
				p.name,
				"the "+strings.ToLower(p.name)+" of a TIMESTAMP, DATE or TIME, as a BIGINT",
				[]Example{{p.name + "(" + noon + ")", p.want}},
				Try1(p.name, "", func(v arrow.Date32) (int64, error) { return extract(p.name, ofDate(v)) }),
				Try1(p.name, "", func(v arrow.Time32) (int64, error) { return extract(p.name, ofTimeOfDay(v)) }),
				Try1(p.name, "", func(v arrow.Timestamp) (int64, error) { return extract(p.name, ofTimestamp(v)) }),
			),
		)
	}
}
