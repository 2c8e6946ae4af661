//go:build mutants

package sim

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/internal/mutant"
)

// ofModel are the bugs of a Kafka client, which are planted in the model. All others are
// planted around it.
var ofModel = []string{
	replayToStable,
	noRequireStable,
	readUncommitted,
	noFence,
}

var only = flag.String("mutant", "", "the only planted bug to look for")

// enough is the number of seeds that find every planted bug.
const enough = 2000

func TestMutants(t *testing.T) {
	for _, name := range slices.Concat(mutant.All, ofModel) {
		if *only != "" && name != *only {
			continue
		}
		for seed := uint64(1); ; seed++ {
			if seed > enough {
				t.Errorf("%s: not found in %d seeds", name, enough)
				break
			}
			if r := runWith(seed, name); r.Err != nil {
				what, _, _ := strings.Cut(r.Err.Error(), "\n")
				t.Logf("%-36s %4d seeds: %.120s", name, seed, what)
				break
			}
		}
	}
}

// runWith runs the simulation of a seed with a planted bug.
func runWith(seed uint64, bug string) Result {
	w := newWorld(seed, false)
	if w.bug = bug; slices.Contains(mutant.All, bug) {
		w.around = func(env exec.Env, p *process) exec.Env {
			return mutant.Plant(bug, env, func() { p.touch("half applied") })
		}
	}
	return w.run()
}
