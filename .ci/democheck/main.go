// Command democheck reads the summary that `streamql demo --json` has printed and holds it against what the demo promises.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var s struct {
		TrainedRows    int64    `json:"trained_rows"`
		Versions       int      `json:"versions"`
		Scored         int64    `json:"scored"`
		Injected       []string `json:"injected"`
		Detected       []string `json:"detected"`
		DeadLetters    int64    `json:"dead_letters"`
		RowsRead       int64    `json:"rows_read"`
		RowsDropped    int64    `json:"rows_dropped"`
		HealthyFlagged float64  `json:"healthy_flagged_share"`
		First          float64  `json:"first_prediction_s"`
		Total          float64  `json:"total_s"`
		RSS            float64  `json:"rss_mb"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		fmt.Println("the summary is not one JSON object:", err)
		os.Exit(1)
	}
	bad := 0
	want := func(ok bool, format string, args ...any) {
		if !ok {
			fmt.Printf("demo: "+format+"\n", args...)
			bad++
		}
	}
	want(s.TrainedRows > 190_000, "%d rows were trained on", s.TrainedRows)
	want(s.Versions == 2, "there are %d versions, want 2", s.Versions)
	want(len(s.Injected) == 2 && slices.Equal(s.Injected, s.Detected), "detected are %v, failing were %v", s.Detected, s.Injected)
	want(s.DeadLetters == 2, "there are %d dead letters, want 2", s.DeadLetters)
	want(s.Scored > 0 && s.RowsRead == s.Scored+s.DeadLetters && s.RowsDropped == 0, "%d rows were read, %d scored, %d dropped", s.RowsRead, s.Scored, s.RowsDropped)
	want(s.HealthyFlagged <= 0.005, "%.4f of the healthy readings are flagged, want at most 0.005", s.HealthyFlagged)
	want(s.First <= 10, "the first prediction came after %.1f s, want at most 10", s.First)
	want(s.Total <= 45, "it took %.1f s, want at most 45", s.Total)
	want(s.RSS <= 400, "it took %.0f MB, want at most 400", s.RSS)
	if bad > 0 {
		os.Exit(1)
	}
	fmt.Println("the demo keeps its promises")
}
