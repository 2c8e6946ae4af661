package expr

import (
	"fmt"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/option"
)

func parseTime(s string, to flow.Type) (any, error) {
	switch to.ID() {
	case arrow.TIMESTAMP:
		ms, err := option.ParseTime(s)
		if err != nil {
			return nil, err
		}
		return arrow.Timestamp(ms), nil
	case arrow.DATE32:
		ms, err := option.ParseTime(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a date like '2026-01-31'", s)
		}
		return arrow.Date32(floorDiv(ms, dayMs)), nil
	case arrow.TIME32:
		for _, layout := range []string{"15:04:05.999999999", "15:04", "15"} {
			if t, err := time.Parse(layout, s); err == nil {
				return arrow.Time32(t.Hour()*3600000 + t.Minute()*60000 + t.Second()*1000 + t.Nanosecond()/1e6), nil
			}
		}
		return nil, fmt.Errorf("%q is not a time like '12:30:00.000'", s)
	}
	return nil, fmt.Errorf("text cannot be cast to %s", flow.TypeName(to))
}
