package streamql_test

import "testing"

// TestSetSpellings sets a property by the two names that ksqlDB accepts.
func TestSetSpellings(t *testing.T) {
	e := open(t)
	exec(t, e, `SET 'ksql.streams.auto.offset.reset'='earliest';`)
	if got := result(t, e, "SHOW PROPERTIES;"); got != "auto.offset.reset earliest\n" {
		t.Errorf("%q", got)
	}
	exec(t, e, `UNSET 'auto.offset.reset';`)
	if got := result(t, e, "SHOW PROPERTIES;"); got != "" {
		t.Errorf("%q", got)
	}
	if err := e.Set("ksql.streams.auto.offset.reset", "newest"); err == nil {
		t.Error("a wrong value is accepted")
	}
}
