package local

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Option changes how a broker is opened.
type Option func(*options)

type options struct {
	memory         bool
	fs             vfs.FS
	clock          func() int64
	poll           int
	segmentBytes   int64
	retentionBytes int64
}

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

// Memory keeps everything in memory, whatever the directory: nothing survives Close.
func Memory() Option { return func(o *options) { o.memory = true } }

// FS sets the file system (default: the operating system's, or one in memory). Tests use it to crash and to inject faults.
func FS(fs vfs.FS) Option { return func(o *options) { o.fs = fs } }

// Clock sets the clock, in ms since the epoch, by which retention is decided (default: the system's).
func Clock(now func() int64) Option { return func(o *options) { o.clock = now } }

// PollRecords bounds the records that one Poll brings of each partition (default 4,096).
func PollRecords(n int) Option { return func(o *options) { o.poll = max(n, 1) } }

// SegmentBytes is the size at which a partition begins a new segment file (default 64 MiB). Retention removes whole segments.
func SegmentBytes(n int64) Option { return func(o *options) { o.segmentBytes = max(n, 1) } }

// RetentionBytes bounds the size of each partition (default 0: not at all); the oldest segments go first.
func RetentionBytes(n int64) Option { return func(o *options) { o.retentionBytes = n } }
