//go:build mutants

package sim

import (
	"flag"
	"strings"
	"testing"

	"github.com/streamql/streamql/internal/mutant"
)

// mutants are the planted bugs. Those of the client of a broker are planted in the model, which stands in its place.
var mutants = []string{
	"no guard",
	"no guard in replay",
	"skip instead of recover",
	"position in a batch of its own",
	"store before commit",
	"apply after unknown outcome",
	"memory kept after abort",
	"changelog's position left out",
	"position record not last",
	"null values skipped in replay",
	"a key not logged",
	"tombstone horizon ignored",
	"dead letter outside the transaction",
	"replay to the last stable offset", // in the model's Describe
	"no RequireStable",                 // in its Committed
	"read uncommitted",                 // in its readers
	"no fence",                         // in its Join; found because recovery waits
}

var only = flag.String("mutant", "", "the only planted bug to look for")

// enough seeds find every planted bug.
const enough = 2000

func TestMutants(t *testing.T) {
	defer mutant.Set("")
	for _, name := range mutants {
		if *only != "" && name != *only {
			continue
		}
		mutant.Set(name)
		for seed := uint64(1); ; seed++ {
			if seed > enough {
				t.Errorf("%s: not found in %d seeds", name, enough)
				break
			}
			if r := Run(seed, false); r.Err != nil {
				what, _, _ := strings.Cut(r.Err.Error(), "\n")
				t.Logf("%-36s %4d seeds: %.120s", name, seed, what)
				break
			}
		}
	}
}
