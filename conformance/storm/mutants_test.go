//go:build synctests && mutants

package storm

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/streamql/streamql/internal/mutant"
)

// mutants are the planted bugs, and who finds them: "storm" are those that TestMutants must find here. The others are found by exec/sim,
// which models what kfake does not do (markers that come late, deletions that have gone from a changelog) or crashes at their very place.
var mutants = []struct{ name, by string }{
	{"apply after unknown outcome", "storm"},
	{"store before commit", "storm"},
	{"memory kept after abort", "storm"},
	{"a key not logged", "storm"},
	{"null values skipped in replay", "storm"},
	{"position record not last", "storm"},
	{"dead letter outside the transaction", "storm"},
	{"read uncommitted", "storm"},
	{"no RequireStable", "sim"},
	{"changelog's position left out", "sim"},
	{"no guard", "sim"},
	{"no guard in replay", "sim"},
	{"skip instead of recover", "sim"},
	{"position in a batch of its own", "sim"},
	{"tombstone horizon ignored", "sim"},
	{"late replay goes on", "sim"},
	{"replay to the last stable offset", "sim"},
	{"no fence", "sim"},
}

var (
	only   = flag.String("mutant", "", "the only planted bug to look for")
	enough = flag.Int("storm.enough", 2000, "the storms that find a planted bug")
)

func TestMutants(t *testing.T) {
	defer mutant.Set("")
	for _, m := range mutants {
		if *only != "" && m.name != *only || *only == "" && m.by != "storm" {
			t.Logf("%-36s %-5s", m.name, m.by)
			continue
		}
		mutant.Set(m.name)
		seed, what := hunt(t)
		if seed == 0 {
			t.Errorf("%-36s not found in %d seeds", m.name, *enough)
			continue
		}
		t.Logf("%-36s storm %4d seeds: %.140s", m.name, seed, what)
	}
}

// hunt looks for the first seed that fails, two at a time.
func hunt(t *testing.T) (found int, what string) {
	var mu sync.Mutex
	for at := 0; at < *enough && found == 0; at += 2 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			for i := range 2 {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					_, err := bubble(t, *first+uint64(at+i))
					mu.Lock()
					defer mu.Unlock()
					if err != nil && (found == 0 || at+i+1 < found) {
						found = at + i + 1
						what, _, _ = strings.Cut(err.Error(), "\n")
					}
				})
			}
		})
	}
	return found, what
}
