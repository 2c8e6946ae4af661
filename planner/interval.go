package planner

import (
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/expr"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
)

// later binds t + INTERVAL n UNIT and t - INTERVAL n UNIT of a TIMESTAMP, DATE or TIME.
func (b *binder) later(e *lang.Binary, i *lang.Interval, s *scope) (expr.Expr, error) {
	x, err := b.bind(e.L, s)
	if err != nil {
		return nil, err
	}
	names := map[arrow.Type][2]string{arrow.TIMESTAMP: {"TIMESTAMPADD", "TIMESTAMPSUB"}, arrow.DATE32: {"DATEADD", "DATESUB"},
		arrow.TIME32: {"TIMEADD", "TIMESUB"}}[x.Type().ID()]
	name := names[0]
	if e.Op == "-" {
		name = names[1]
	}
	if name == "" {
		return nil, fail(i, "SQ2006", "an interval can be added to a TIMESTAMP, DATE or TIME, not to %s",
			flow.TypeName(x.Type()))
	}
	n, err := strconv.ParseInt(i.N, 10, 32)
	if err != nil {
		return nil, fail(i, "SQ2010", "%s %s is not a length of time", i.N, i.Unit)
	}
	return b.function(opAt{e}, name, []expr.Expr{expr.Lit(flow.String, i.Unit), expr.Lit(flow.Int, int32(n)), x})
}
