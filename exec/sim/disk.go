package sim

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/streamql/streamql/state"
)

// disk is what a process has stored. It outlives the process as a crash leaves it: what was flushed is there, the rest is not. A crash
// in the middle of a flush is left out: that it leaves all of it or nothing is the database's promise, and when its goroutines do what
// cannot be repeated.
type disk struct {
	fs *vfs.MemFS
	db *state.DB
}

// openDisk opens a file system, new where it is nil.
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

// die returns what a crash leaves. Which of the unsynced data it keeps, a share from none to all, must make no difference, because that
// goes by the order of maps.
func (d *disk) die(rng *rand.Rand) *vfs.MemFS {
	percent, random := 10*rng.IntN(11), rand.New(rand.NewPCG(rng.Uint64(), 1))
	left := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
	d.close()
	return left
}

func (d *disk) close() { _ = d.db.Close() } // of a process that is dead: what its readers left open is no fault
