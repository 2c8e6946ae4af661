// Command benchcheck compares benchmarks with those on record, as ratios to BenchmarkCalibration of the same run.
//
//	benchcheck compare|record OUTPUT RECORD
//
// OUTPUT is what go test -bench printed; of several runs of one benchmark the fastest counts. RECORD has a line for each: name, ratio.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	unit  = "bench/calibrate.BenchmarkCalibration"
	slow  = 1.5 // more is a failure
	worth = 1.1 // more is printed
)

func main() {
	if len(os.Args) != 4 {
		fail("usage: benchcheck compare|record OUTPUT RECORD")
	}
	now := ratios(os.Args[2])
	if os.Args[1] == "record" {
		record(now, os.Args[3])
		return
	}
	before := read(os.Args[3])
	bad, compared := 0, 0
	for _, name := range names(now) {
		old, ok := before[name]
		if !ok {
			fmt.Printf("%-70s new\n", name)
			continue
		}
		compared++
		switch change := now[name] / old; {
		case change > slow:
			bad++
			fmt.Printf("%-70s %.2f times the record: too slow\n", name, change)
		case change > worth || change < 1/worth:
			fmt.Printf("%-70s %.2f times the record\n", name, change)
		}
	}
	for _, name := range names(before) {
		if _, ok := now[name]; !ok {
			fmt.Printf("%-70s is on record and has not run\n", name)
			bad++
		}
	}
	fmt.Printf("%d benchmarks compared, %d too slow or missing\n", compared, bad)
	if bad > 0 || compared == 0 {
		os.Exit(1)
	}
}

// ratios reads what go test printed: the fastest run of each benchmark, in units of the calibration.
func ratios(path string) map[string]float64 {
	out := map[string]float64{}
	pkg := ""
	for line := range lines(path) {
		if after, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = strings.TrimPrefix(strings.TrimPrefix(after, "github.com/streamql/streamql"), "/")
			continue
		}
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") || words[3] != "ns/op" {
			continue
		}
		ns, err := strconv.ParseFloat(words[2], 64)
		if err != nil {
			fail("%s: %v", line, err)
		}
		name := words[0]
		if i := strings.LastIndex(name, "-"); i > 0 { // the number of processors
			name = name[:i]
		}
		if name = pkg + "." + name; out[name] == 0 || ns < out[name] {
			out[name] = ns
		}
	}
	base := out[unit]
	if base == 0 {
		fail("%s holds no %s", path, unit)
	}
	delete(out, unit)
	for name := range out {
		out[name] /= base
	}
	return out
}

func record(now map[string]float64, path string) {
	f, err := os.Create(path)
	if err != nil {
		fail("%v", err)
	}
	for _, name := range names(now) {
		fmt.Fprintf(f, "%s %.6g\n", name, now[name])
	}
	if err := f.Close(); err != nil {
		fail("%v", err)
	}
	fmt.Printf("%d benchmarks are on record in %s\n", len(now), path)
}

func read(path string) map[string]float64 {
	out := map[string]float64{}
	for line := range lines(path) {
		name, ratio, ok := strings.Cut(line, " ")
		v, err := strconv.ParseFloat(ratio, 64)
		if !ok || err != nil {
			fail("%s: not a line of the record: %q", path, line)
		}
		out[name] = v
	}
	return out
}

func lines(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		f, err := os.Open(path)
		if err != nil {
			fail("%v", err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if !yield(s.Text()) {
				return
			}
		}
	}
}

func names(m map[string]float64) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "benchcheck: "+format+"\n", args...)
	os.Exit(1)
}
