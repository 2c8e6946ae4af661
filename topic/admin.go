package topic

import (
	"context"
	"errors"
)

// Config is the configuration of a new topic. A zero value leaves the setting to the broker's
// default.
type Config struct {
	Partitions  int32
	Replicas    int16 // copies of each partition; 0: the broker's default. The embedded broker has one copy
	RetentionMs int64 // minimum retention of records, in ms; -1: no limit
	// Compact retains the newest record of each key. With a RetentionMs above zero, that record
	// is deleted when it is old as well.
	Compact    bool
	MaxMessage int // size limit of a batch of records, in bytes
	// SegmentBytes is the size of a segment file. Compaction, retention and trimming remove
	// nothing from the newest segment.
	SegmentBytes int64
	// MaxCompactionLagMs is how long a record may remain after a newer record of its key was
	// written.
	MaxCompactionLagMs int64
	// AppendTime replaces the timestamp of each record by the time of its arrival, which then
	// determines its retention.
	AppendTime bool
}

// Admin manages topics. It is an optional interface of a Broker.
type Admin interface {
	Topics(ctx context.Context) ([]Topic, error)
	Create(ctx context.Context, name string, c Config) error // ErrTopicExists, wrapped, if it exists
	Delete(ctx context.Context, name string) error
}

// Trimmer deletes the oldest records of partitions: those before an offset, which becomes the
// partition's beginning. It is an optional interface of a Broker. An offset at or before the
// present beginning changes nothing; one after the end is an error. A reader positioned before
// the new beginning gets ErrGap.
type Trimmer interface {
	Trim(ctx context.Context, before map[Partition]Offset) error
}

// Sizer reports the disk usage of topics. It is an optional interface of a Broker.
type Sizer interface {
	// Sizes returns the bytes of topics on the disks of all brokers, counting every replica.
	// Unknown topics are omitted. It costs one request to each broker.
	Sizes(ctx context.Context, topics ...string) (map[string]int64, error)
}

// Setting is one key of a topic's configuration, in the broker's notation. An empty Want is the
// broker's default.
type Setting struct{ Key, Have, Want string }

// Configurer compares existing topics with the configuration that they would get now, and
// changes it. It is an optional interface of a Broker.
type Configurer interface {
	// Differences returns the settings that differ from c, by key. Settings that c leaves to
	// the broker are not compared, except an unlimited retention, which earlier versions set on
	// every topic. Partition counts are not compared, because they never change.
	Differences(ctx context.Context, name string, c Config) ([]Setting, error)
	// Configure changes the given settings and no others.
	Configure(ctx context.Context, name string, settings []Setting) error
}

// ErrNotYet reports that the cluster is reachable but cannot execute the request yet: a broker
// is down, a leader or coordinator is moving, or a new topic is not known to every broker. It
// is an ErrUnreachable, because the remedy is the same: retry later.
var ErrNotYet error = notYet{}

// notYet is the type of ErrNotYet.
type notYet struct{}

// Error returns the text of the error.
func (notYet) Error() string { return "the cluster cannot execute the request yet" }

// Is makes ErrNotYet match ErrUnreachable.
func (notYet) Is(target error) bool { return target == ErrUnreachable }

// Passing reports whether the failed call may succeed later without intervention. An ErrLost is
// excluded: the same call must not simply be repeated.
func Passing(err error) bool { return errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrLost) }
