package decide

import (
	"strconv"
	"strings"

	"github.com/streamql/streamql/udf"
)

// functions returns the function registry with the row limits that a session's properties set.
func (d *Decider) functions(properties map[string]string) *udf.Registry {
	limits := map[string]int{}
	for name, value := range properties {
		rest, ok1 := strings.CutPrefix(name, "ksql.functions.")
		f, ok2 := strings.CutSuffix(rest, ".limit")
		n, err := strconv.Atoi(value)
		if ok1 && ok2 && err == nil {
			limits[f] = n
		}
	}
	return d.Functions.Limited(limits)
}
