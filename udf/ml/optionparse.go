package ml

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parsePositive accepts a value of the target, as its level.
func parsePositive(v any) (any, error) {
	switch v := v.(type) {
	case string, int64, bool:
		return fmt.Sprint(v), nil
	}
	return nil, fmt.Errorf("must be a value of the target, not %v", v)
}

func parseKeep(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		if v >= 1 {
			return v, nil
		}
	case string:
		if strings.EqualFold(v, "all") {
			return "all", nil
		}
	}
	return nil, fmt.Errorf("must be a number from 1 or 'all', not %v", v)
}

func parseThreshold(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, nil
		}
	case string:
		s := strings.ToLower(strings.TrimSpace(v))
		if s == "none" {
			return s, nil
		}
		if q, ok := strings.CutPrefix(s, "quantile:"); ok {
			if f, err := strconv.ParseFloat(q, 64); err == nil && f >= 0 && f <= 1 {
				return s, nil
			}
			return nil, fmt.Errorf("must be 'quantile:q' with q from 0 to 1, not '%s'", v)
		}
	}
	return nil, fmt.Errorf("must be 'quantile:q', a number or 'none', not %v", v)
}
