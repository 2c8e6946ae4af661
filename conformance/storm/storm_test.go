//go:build synctests

package storm

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

var (
	seeds = flag.Int("storm.seeds", 12, "how many storms")
	first = flag.Uint64("storm.first", 1, "the seed of the first")
	tell  = flag.Bool("storm.log", false, "print the events of all storms")
)

// regress contains seeds that have failed before.
var regress = []uint64{15, 70, 45, 12, 1081}

// TestStorm runs jobs through storms. No row is lost, duplicated or out of its key's order, and every record
// that cannot be decoded is reported.
func TestStorm(t *testing.T) {
	var mu sync.Mutex
	var sum tally
	list := slices.Clone(regress)
	for i := range *seeds {
		list = append(list, *first+uint64(i))
	}
	t.Run("seeds", func(t *testing.T) {
		room := make(chan struct{}, runtime.GOMAXPROCS(0))
		for _, seed := range list {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				room <- struct{}{}
				defer func() { <-room }()
				got := storm(t, seed)
				mu.Lock()
				defer mu.Unlock()
				sum.add(got)
			})
		}
	})
	t.Logf("%d seeds: %s", len(list), sum)
}

// storm runs a seed.
func storm(t *testing.T, seed uint64) tally {
	w, err := bubble(t, seed)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if err != nil || *tell {
		t.Log(w.tally.String() + "\n" + strings.Join(w.trace, "\n"))
	}
	return w.tally
}

// bubble runs a seed in virtual time.
func bubble(t *testing.T, seed uint64) (w *world, err error) {
	synctest.Test(t, func(t *testing.T) { w, err = run(t, seed) })
	return w, err
}
