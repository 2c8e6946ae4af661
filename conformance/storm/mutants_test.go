//go:build synctests && mutants

package storm

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/internal/mutant"
)

// mutants contains the planted bugs that TestMutants must find here. exec/sim finds the others: it models
// behaviour that kfake lacks (late control records, compacted tombstones in a changelog), or crashes at
// exactly the right step.
var mutants = []string{
	mutant.ApplyUnknown,
	mutant.StoreBeforeCommit,
	mutant.MemoryKept,
	mutant.KeyNotLogged,
	mutant.NullsSkipped,
	mutant.PositionNotLast,
	mutant.LetterOutside,
	readUncommitted,
}

// readUncommitted is planted in the network: fetch requests read uncommitted records.
const readUncommitted = "read uncommitted"

var (
	only   = flag.String("mutant", "", "the only planted bug to look for")
	enough = flag.Int("storm.enough", 2000, "the storms that find a planted bug")
)

func TestMutants(t *testing.T) {
	defer plant("")
	for _, name := range mutants {
		if *only != "" && name != *only {
			continue
		}
		plant(name)
		seed, what := hunt(t)
		if seed == 0 {
			t.Errorf("%-36s not found in %d seeds", name, *enough)
			continue
		}
		t.Logf("%-36s storm %4d seeds: %.140s", name, seed, what)
	}
}

// plant activates a bug in all processes instead of the previous one; "": none.
func plant(bug string) {
	altered = nil
	exec.Around(nil)
	switch bug {
	case "":
	case readUncommitted:
		altered = uncommitted
	default:
		exec.Around(func(env exec.Env) exec.Env { return mutant.Plant(bug, env, nil) })
	}
}

// uncommitted changes a fetch request to read uncommitted records. It does not change other requests.
func uncommitted(request []byte) []byte {
	const fetch, size, key, id = 1, 4, 2, 4
	if len(request) < size+key+2+id+2 || binary.BigEndian.Uint16(request[size:]) != fetch {
		return request
	}
	version := binary.BigEndian.Uint16(request[size+key:])
	at := size + key + 2 + id
	if n := int16(binary.BigEndian.Uint16(request[at:])); n > 0 {
		at += int(n)
	}
	at += 2 // the client's name
	if version >= 12 {
		at++ // no tags
	}
	if version < 15 {
		at += 4 // no replica
	}
	at += 3 * 4 // maximum wait, minimum bytes, maximum bytes
	if at >= len(request) || request[at] != 1 {
		panic(fmt.Sprintf("storm: a fetch request of version %d has no isolation level at %d", version, at))
	}
	request = bytes.Clone(request)
	request[at] = 0
	return request
}

// hunt returns the first seed that fails. It runs two seeds at a time.
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
