package topic

import (
	"context"
	"errors"
)

// Config is how a topic is made. Zero values leave it to the broker: its own defaults, which whoever runs it has chosen.
type Config struct {
	Partitions  int32
	Replicas    int16 // copies of each partition; an embedded broker keeps one whatever it says
	RetentionMs int64 // how long records stay at least; -1: for ever
	// Compact keeps the newest record of each key; with a RetentionMs above zero also that one goes when it is old.
	Compact    bool
	MaxMessage int // bytes of the largest batch of records
	// SegmentBytes is the size of a piece of a partition: cleaning, retention and trimming remove nothing from the newest one.
	SegmentBytes int64
	// MaxCompactionLagMs is how long a record with a newer one of its key may stay.
	MaxCompactionLagMs int64
	// AppendTime gives each record the time of its arrival in place of its own, so that retention goes by that.
	AppendTime bool
}

// Admin manages topics (optional, found by assertion).
type Admin interface {
	Topics(ctx context.Context) ([]Topic, error)
	Create(ctx context.Context, name string, c Config) error // ErrTopicExists, wrapped, when it is there
	Delete(ctx context.Context, name string) error
}

// Trimmer removes the oldest records of partitions (optional): those before an offset, which becomes the partition's beginning. An offset
// at or before the beginning changes nothing, one after the end is an error. A reader that wanted what is gone gets ErrGap.
type Trimmer interface {
	Trim(ctx context.Context, before map[Partition]Offset) error
}

// Sizer knows what topics take on disk (optional).
type Sizer interface {
	// Sizes returns the bytes of topics on the disks of all brokers, every copy counted. A topic that is not there is left out. It must be
	// cheap: one request to each broker.
	Sizes(ctx context.Context, topics ...string) (map[string]int64, error)
}

// Setting is one key of a topic's configuration, in the broker's own words. Want "": the broker's default.
type Setting struct{ Key, Have, Want string }

// Configurer compares topics that are there with how they would be made now, and changes them (optional).
type Configurer interface {
	// Differences lists what is not as c says, by key. What c leaves to the broker is not compared, but for a retention of for ever,
	// which earlier versions gave to every topic. Partitions are not compared: they never change.
	Differences(ctx context.Context, name string, c Config) ([]Setting, error)
	// Configure makes the settings as wanted; all others stay.
	Configure(ctx context.Context, name string, settings []Setting) error
}

// ErrNotYet says that the cluster answers and cannot do it now: a broker is away, a leader or coordinator moves, a topic that was just
// made is not known everywhere. It is an ErrUnreachable, since the cure is the same: the same call later.
var ErrNotYet error = notYet{}

type notYet struct{}

func (notYet) Error() string        { return "the cluster cannot do it yet" }
func (notYet) Is(target error) bool { return target == ErrUnreachable }

// Passing reports whether the call that failed so may succeed later without anybody's help. An ErrLost is not passing in this sense: the
// same call must not simply be made again.
func Passing(err error) bool { return errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrLost) }
