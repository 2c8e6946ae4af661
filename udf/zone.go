package udf

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the zones are in the binary, as a container may have none
)

// shortZones are the abbreviations of zones that Java accepts, and those of American daylight
// saving time, which ksqlDB's manual names.
var shortZones = map[string]string{
	"ACT": "Australia/Darwin", "AET": "Australia/Sydney", "AGT": "America/Argentina/Buenos_Aires", "ART": "Africa/Cairo",
	"AST": "America/Anchorage", "BET": "America/Sao_Paulo", "BST": "Asia/Dhaka", "CAT": "Africa/Harare", "CNT": "America/St_Johns",
	"CST": "America/Chicago", "CDT": "America/Chicago", "CTT": "Asia/Shanghai", "EAT": "Africa/Addis_Ababa", "ECT": "Europe/Paris",
	"EDT": "America/New_York", "IET": "America/Indiana/Indianapolis", "IST": "Asia/Kolkata", "JST": "Asia/Tokyo", "MDT": "America/Denver",
	"MIT": "Pacific/Apia", "NET": "Asia/Yerevan", "NST": "Pacific/Auckland", "PDT": "America/Los_Angeles", "PLT": "Asia/Karachi",
	"PNT": "America/Phoenix", "PRT": "America/Puerto_Rico", "PST": "America/Los_Angeles", "SST": "Pacific/Guadalcanal", "VST": "Asia/Ho_Chi_Minh",
}

// Zone returns a time zone by its name: UTC, GMT, Z, an offset such as +05:30 or UTC-8, a
// region such as Europe/Berlin, or an abbreviation such as PST.
func Zone(name string) (*time.Location, error) {
	capitals := strings.ToUpper(name)
	switch capitals {
	case "UTC", "GMT", "UT", "Z":
		return time.UTC, nil
	}
	for _, prefix := range []string{"UTC", "GMT", "UT", ""} {
		if offset, ok := strings.CutPrefix(capitals, prefix); ok {
			if z, ok := offsetZone(offset); ok {
				return z, nil
			}
		}
	}
	if region, ok := shortZones[capitals]; ok {
		name = region
	}
	if name == "" || capitals == "LOCAL" {
		return nil, fmt.Errorf("a time zone is required")
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("'%s' is not a time zone", name)
	}
	return z, nil
}

// offsetZone reads +h, +hh, +hhmm, +hh:mm or +hh:mm:ss.
func offsetZone(s string) (*time.Location, bool) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return nil, false
	}
	d := strings.ReplaceAll(s[1:], ":", "")
	if len(d) == 1 || len(d) == 3 {
		d = "0" + d
	}
	if len(d) != 2 && len(d) != 4 && len(d) != 6 {
		return nil, false
	}
	var parts [3]int
	for i := range d {
		if d[i] < '0' || d[i] > '9' {
			return nil, false
		}
		parts[i/2] = parts[i/2]*10 + int(d[i]-'0')
	}
	seconds := parts[0]*3600 + parts[1]*60 + parts[2]
	if seconds > 18*3600 || parts[1] > 59 || parts[2] > 59 {
		return nil, false
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	if seconds == 0 {
		return time.UTC, true
	}
	return time.FixedZone(s, seconds), true
}
