package models

import (
	"fmt"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// Status is the condition of a version.
type Status string

// The statuses of a version.
const (
	Ready   Status = "READY"
	Corrupt Status = "CORRUPT" // its records are invalid: Version.Err has the cause
	Dropped Status = "DROPPED" // only its manifest remains
)

// Version is a version in the topic. It is immutable: after a drop, later lists contain another
// Version.
type Version struct {
	Number   int
	ID       string
	Status   Status
	Manifest ml.Manifest
	Err      error // of a corrupt version

	bundle *ml.Bundle // nil unless the version is ready
}

// Tombstones returns the records that drop a version: they delete its chunks.
func (r *Registry) Tombstones(v Version) []topic.Record {
	return tombstones(v.ID, v.Manifest.Payload.Chunks)
}

func tombstones(id string, chunks int) []topic.Record {
	out := make([]topic.Record, chunks)
	for c := range out {
		out[c].Key = []byte(ml.Key{ID: id, Chunk: c}.String())
	}
	return out
}

// snapshot is the state of a model's topic up to an offset. It is immutable; its follower
// replaces it.
type snapshot struct {
	list  []Version // by number
	topic string    // id of the topic; empty: it was never found
	next  topic.Offset
	// everything that existed when the topic was found has been read, so only newer versions
	// may be missing
	caught bool
	ended  error // why it is no longer followed
}

// serving returns the version with a number, or for 0 the newest that is ready. If it returns
// neither a version nor an error, there may be one later.
func (s *snapshot) serving(model string, number int) (*Version, error) {
	if number == 0 {
		return s.newest(model, nil)
	}
	if number > len(s.list) {
		if !s.caught {
			return nil, nil
		}
		return nil, noVersion("model %q has no version %d", model, number)
	}
	v := &s.list[number-1]
	switch v.Status {
	case Dropped:
		return nil, noVersion("version %d of model %q was dropped", number, model)
	case Corrupt:
		return nil, fmt.Errorf("model %s$%d: %w", model, number, v.Err)
	}
	return v, nil
}

// newest returns the newest version that is ready and for which accepts returns true (nil: any).
func (s *snapshot) newest(model string, accepts func(any) bool) (*Version, error) {
	var corrupt error
	for i := len(s.list) - 1; i >= 0; i-- {
		switch v := &s.list[i]; {
		case v.Status == Ready && (accepts == nil || accepts(v.bundle)):
			return v, nil
		case v.Status == Corrupt && corrupt == nil:
			corrupt = fmt.Errorf("model %q has no valid version: %w", model, v.Err)
		}
	}
	return nil, corrupt
}

func noVersion(format string, args ...any) error {
	return &lang.Error{Code: "SQ6003", Stage: lang.StagePlan, Msg: fmt.Sprintf(format, args...)}
}
