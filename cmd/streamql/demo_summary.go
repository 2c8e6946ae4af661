package main

import (
	"context"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// summary contains the measurements of a demonstration; --json prints it.
type summary struct {
	Seed            uint64   `json:"seed"`
	Seconds         int      `json:"seconds"`
	HistoryRows     int64    `json:"history_rows"`
	WriteSeconds    float64  `json:"write_s"`
	ScanRows        float64  `json:"scan_rows_per_s"`
	TrainedRows     int64    `json:"trained_rows"`
	TrainSeconds    float64  `json:"train_s"`
	Threshold       float64  `json:"threshold"`
	Versions        int      `json:"versions"`
	RowsRead        int64    `json:"rows_read"` // live records that were written
	Scored          int64    `json:"scored"`
	DeadLetters     int64    `json:"dead_letters"`
	RowsDropped     int64    `json:"rows_dropped"`
	Injected        []string `json:"injected"`
	Detected        []string `json:"detected"`
	DetectSeconds   float64  `json:"slowest_detection_s"`
	HealthyScored   int64    `json:"healthy_scored"`
	HealthyShare    float64  `json:"healthy_flagged_share"`
	Swap            float64  `json:"swap_ms"`
	FirstPrediction float64  `json:"first_prediction_s"`
	Total           float64  `json:"total_s"`
	Memory          float64  `json:"rss_mb"`
	DiskBytes       int64    `json:"disk_bytes"`
	Brokers         string   `json:"brokers,omitempty"` // empty: no network connection was opened
}

// conclude completes and prints the summary. It returns an error if a promise was broken.
func (d *demo) conclude(ctx context.Context) error {
	s := &d.summary
	var err error
	if s.DeadLetters, err = d.letters(ctx); err != nil {
		return err
	}
	s.Seed, s.Seconds, s.Brokers = d.Seed, d.Seconds, d.w.Brokers
	s.RowsRead, s.Scored = d.live.written(), d.watch.scored
	s.RowsDropped = s.RowsRead - s.Scored - s.DeadLetters
	for i, c := range d.live.cars {
		s.Injected = append(s.Injected, carName(c))
		if at := d.watch.found(carName(c)); !at.IsZero() {
			s.DetectSeconds = max(s.DetectSeconds, round(at.Sub(d.live.begins[i]).Seconds(), 3))
		}
	}
	s.Detected = d.detected()
	if s.HealthyScored = d.watch.sound; s.HealthyScored > 0 {
		s.HealthyShare = round(float64(d.watch.flagged)/float64(s.HealthyScored), 6)
	}
	s.Total, s.Memory, s.DiskBytes = since(d.begun), peakMemory(), sizeOf(d.dir)
	d.tellSummary()
	if s.RowsDropped != 0 {
		return failedWork("%d rows were read, but there are %d predictions and %d dead letters", s.RowsRead, s.Scored,
			s.DeadLetters)
	}
	return nil
}

func (d *demo) tellSummary() {
	s := &d.summary
	d.note("\nSummary")
	d.note("  history     %d readings written in %.1f s, counted at %.0f rows/s", s.HistoryRows, s.WriteSeconds,
		s.ScanRows)
	d.note("  training    %d healthy rows in %.1f s, threshold %.4g", s.TrainedRows, s.TrainSeconds, s.Threshold)
	d.note("  live        %d rows read = %d predictions + %d dead letters; %d rows dropped", s.RowsRead, s.Scored,
		s.DeadLetters, s.RowsDropped)
	d.note("  failing     %s; detected %s, the slower in %.1f s", strings.Join(s.Injected, ", "),
		strings.Join(s.Detected, ", "), s.DetectSeconds)
	d.note("  healthy     %.2f %% of %d readings flagged", 100*s.HealthyShare, s.HealthyScored)
	d.note("  retraining  v 1 → 2 in %.0f ms", s.Swap)
	d.note("  times       first prediction after %.1f s, total %.1f s, peak memory %.0f MB", s.FirstPrediction, s.Total,
		s.Memory)
	network := "no network connection was opened"
	if s.Brokers != "" {
		network = "Kafka at " + s.Brokers
	}
	d.note("  files       %s (%.0f MB), no others; %s", d.dir, float64(s.DiskBytes)/1e6, network)
	d.note("\nTry next:\n  %[1]s gen fraud --rows 5\n  %[1]s --dir ./data", program())
}

// program returns the command that starts this program. A binary of go run is in a temporary directory and is removed.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/streamql"
	}
	return os.Args[0]
}

func sizeOf(dir string) int64 {
	n := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // compaction may have removed the file since it was listed
		}
		if info, err := e.Info(); err == nil && !e.IsDir() {
			n += info.Size()
		}
		return nil
	})
	return n
}

func round(v float64, digits int) float64 {
	scale := math.Pow(10, float64(digits))
	return math.Round(v*scale) / scale
}
