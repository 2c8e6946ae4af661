//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// result is one result.
type result struct {
	What   string             `json:"what"`
	Case   string             `json:"case"`
	Values map[string]float64 `json:"values"`
}

type report struct{ results []result }

// add prints a result as a line of JSON and stores it for the table. Values are pairs of a name with its
// unit, and a number.
func (r *report) add(what, which string, pairs ...any) {
	res := result{what, which, map[string]float64{}}
	for i := 0; i < len(pairs); i += 2 {
		res.Values[pairs[i].(string)] = pairs[i+1].(float64)
	}
	r.results = append(r.results, res)
	_ = json.NewEncoder(os.Stdout).Encode(res)
}

// machine prints the machine of the measurements.
func (r *report) machine(cores int) {
	text, _ := os.ReadFile("/proc/cpuinfo")
	model := "unknown"
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"what": "machine", "cores": cores, "model": model,
		"load": strings.TrimSpace(string(load))})
}

func (r *report) table() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w)
	for _, res := range r.results {
		var cells []string
		for name, v := range res.Values {
			cells = append(cells, fmt.Sprintf("%s %.4g", name, v))
		}
		slices.Sort(cells)
		fmt.Fprintf(w, "%s\t%s\t%s\n", res.What, res.Case, strings.Join(cells, "  "))
	}
}

// median returns the median of v, which it sorts.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}

// quantile returns a quantile of v, which it sorts.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}
