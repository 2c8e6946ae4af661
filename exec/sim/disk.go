package sim

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/streamql/streamql/state"
)

// disk is the storage of a process. It survives the process as a crash leaves it: flushed data
// exists, the rest does not. Crashes in the middle of a flush are not modelled: the database
// guarantees that all or nothing of it remains, and the timing of its goroutines is not
// reproducible.
type disk struct {
	fs *vfs.MemFS
	db *state.DB
}

// openDisk opens a file system, a new one if it is nil.
func openDisk(fs *vfs.MemFS) (*disk, error) {
	if fs == nil {
		fs = vfs.NewCrashableMem()
	}
	db, err := state.OpenDB("state", fs, nil)
	return &disk{fs, db}, err
}

func (d *disk) flush() {
	if err := d.db.Flush(); err != nil {
		panic(err)
	}
}

// die returns the file system after a crash. The share of unsynced data that survives, from
// none to all, must not matter, because it depends on the order of maps.
func (d *disk) die(rng *rand.Rand) *vfs.MemFS {
	percent, random := 10*rng.IntN(11), rand.New(rand.NewPCG(rng.Uint64(), 1))
	left := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
	d.close()
	return left
}

func (d *disk) close() { _ = d.db.Close() } // open readers of a dead process are not an error
