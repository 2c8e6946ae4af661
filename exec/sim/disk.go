package sim

import (
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/streamql/streamql/state"
)

// disk is what a process has stored. It outlives the process as a crash leaves it: what was flushed is there, what was not is gone.
type disk struct {
	fs *vfs.MemFS
	db *state.DB

	mu    sync.Mutex // a flush runs on a goroutine of the database
	after int        // operations until the crash in a flush; 0: none is planned
	crash *vfs.MemFS // what that crash left
}

// openDisk opens a file system, new where it is nil.
func openDisk(fs *vfs.MemFS) (*disk, error) {
	if fs == nil {
		fs = vfs.NewCrashableMem()
	}
	d := &disk{fs: fs}
	var err error
	d.db, err = state.OpenDB("state", errorfs.Wrap(fs, d), nil)
	return d, err
}

// MaybeError implements errorfs.Injector: nothing fails, but a crash may be planned for the middle of a flush.
func (d *disk) MaybeError(errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after > 0 {
		if d.after--; d.after == 0 {
			d.crash = d.fs.CrashClone(vfs.CrashCloneCfg{})
		}
	}
	return nil
}

// String implements errorfs.Injector.
func (d *disk) String() string { return "a crash in a flush" }

func (d *disk) flush() {
	if err := d.db.Flush(); err != nil {
		panic(err)
	}
}

// die leaves what a crash does: now, or in the middle of a flush.
func (d *disk) die(rng *rand.Rand) *vfs.MemFS {
	if rng.IntN(3) == 0 {
		d.mu.Lock()
		d.after = 1 + rng.IntN(12)
		d.mu.Unlock()
		d.flush()
		d.mu.Lock()
		d.after = 0
		left := d.crash
		d.mu.Unlock()
		if left != nil {
			d.close()
			return left
		}
	}
	// What a crash keeps of the unsynced data, a share of it from none to all, has to make no difference. Its choice is not ours to
	// repeat: it goes through maps.
	left := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 10 * rng.IntN(11), RNG: rand.New(rand.NewPCG(rng.Uint64(), 1))})
	d.close()
	return left
}

func (d *disk) close() { _ = d.db.Close() } // of a process that is dead: what its readers left open is no fault
