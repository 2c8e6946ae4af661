package local

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Option changes how a broker is opened.
type Option func(*options)

// options are the settings of a broker.
type options struct {
	memory         bool
	fs             vfs.FS
	clock          func() int64
	poll           int
	segmentBytes   int64
	retentionBytes int64
}

// newOptions applies opts to the defaults.
func newOptions(dir string, opts []Option) options {
	o := options{poll: 4096, segmentBytes: 64 << 20, clock: func() int64 { return time.Now().UnixMilli() }}
	for _, opt := range opts {
		opt(&o)
	}
	if dir == "" {
		o.memory = true
	}
	if o.fs == nil {
		o.fs = vfs.Default
		if o.memory {
			o.fs = vfs.NewMem()
		}
	}
	return o
}

// Memory makes the broker store everything in memory, whatever its directory. Nothing survives
// Close.
func Memory() Option { return func(o *options) { o.memory = true } }

// FS sets the file system (default: the operating system's, or one in memory). Tests use it to
// simulate crashes and to inject faults.
func FS(fs vfs.FS) Option { return func(o *options) { o.fs = fs } }

// Clock sets the clock of retention, in ms since the epoch (default: the system's).
func Clock(now func() int64) Option { return func(o *options) { o.clock = now } }

// PollRecords limits the records that one Poll returns of each partition (default 4,096).
func PollRecords(n int) Option { return func(o *options) { o.poll = max(n, 1) } }

// SegmentBytes sets the size at which a partition starts a new segment file (default 64 MiB).
// Retention removes whole segments.
func SegmentBytes(n int64) Option { return func(o *options) { o.segmentBytes = max(n, 1) } }

// RetentionBytes limits the size of each partition (default 0: no limit). The oldest segments
// are removed first.
func RetentionBytes(n int64) Option { return func(o *options) { o.retentionBytes = n } }
