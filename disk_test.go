package streamql

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/streamql/streamql/engine"
	"github.com/streamql/streamql/topic/local"
)

// fullDisk is a file system that fails every write once it is full.
type fullDisk struct{ full atomic.Bool }

func (d *fullDisk) String() string { return "full disk" }

func (d *fullDisk) MaybeError(op errorfs.Op) error {
	if d.full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		return syscall.ENOSPC
	}
	return nil
}

// TestFullDisk fills the disk of a directory. The statement fails with a message about it, and no partial
// write is visible. When the disk has space again, the next start finds everything that was acknowledged.
func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewCrashableMem()
	disk := &fullDisk{}
	open := func(fs vfs.FS) *Engine {
		e, err := Open(ctx, WithDir("data"), func(c *engine.Config) { c.Local = []local.Option{local.FS(fs)} })
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open(errorfs.Wrap(mem, disk))
	if err := e.Exec(ctx, `CREATE STREAM s (a INT) WITH (topic='s', format='json'); INSERT INTO s VALUES (1), (2);`); err != nil {
		t.Fatal(err)
	}
	disk.full.Store(true)
	err := e.Exec(ctx, `INSERT INTO s VALUES (3);`)
	if err == nil || !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("with a full disk INSERT gave %v", err)
	}
	_ = e.Close() // it may fail

	e = open(mem.CrashClone(vfs.CrashCloneCfg{}))
	defer e.Close()
	rows, err := e.Query(ctx, `SELECT COUNT(*) AS n, SUM(a) AS s FROM s`)
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range rows.Batches() {
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Text(); got != "+ n=2 s=3\n" {
			t.Errorf("after the restart there are %q, want the two rows acknowledged", got)
		}
	}
}
