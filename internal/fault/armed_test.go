//go:build faults

package fault

import "testing"

func TestHookRunsAtEachPoint(t *testing.T) {
	var seen []string
	before := Hook(func(name string) { seen = append(seen, name) })
	defer Hook(before)
	Point("a")
	Point("b")
	if len(seen) != 2 || seen[0] != "a" || seen[1] != "b" {
		t.Fatalf("points seen: %v", seen)
	}
}

func TestParseFiresOnceAtTheCount(t *testing.T) {
	fired := 0
	hook, err := parse("end:2", func(string) { fired++ })
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 1} {
		hook("other")
		hook("end")
		if fired != want {
			t.Fatalf("after pass %d: fired %d times, want %d", i+1, fired, want)
		}
	}
	for _, bad := range []string{"a:0", "a:x", "a:-1", "a:"} {
		if _, err := parse(bad, nil); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
