package models

import (
	"fmt"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// Status says whether a version can serve.
type Status string

// The states of a version.
const (
	Ready   Status = "READY"
	Corrupt Status = "CORRUPT" // its records cannot be read: Version.Err says why
	Dropped Status = "DROPPED" // its manifest remains as a record of what it was
)

// Version is a version as the topic has it. It does not change: a version that is dropped is another Version in a later list.
type Version struct {
	Number   int
	ID       string
	Status   Status
	Manifest ml.Manifest
	Err      error // of a corrupt version

	bundle *ml.Bundle // nil unless it is ready
}

// Tombstones are the records that drop a version: they delete its chunks.
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

// snapshot is a model as its topic had it up to an offset. It does not change; its follower puts another in its place.
type snapshot struct {
	list   []Version // by number
	topic  string    // the topic's id; "": it was never found
	next   topic.Offset
	caught bool  // everything that was there when the topic was found has been read, so that none but new versions are missing
	ended  error // why it is not followed any more
}

// serving is the version with a number, or for 0 the newest that is ready. No version and no error: there may be one later.
func (s *snapshot) serving(model string, number int) (*Version, error) {
	if number == 0 {
		return s.newest(model)
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

func (s *snapshot) newest(model string) (*Version, error) {
	var corrupt error
	for i := len(s.list) - 1; i >= 0; i-- {
		switch v := &s.list[i]; {
		case v.Status == Ready:
			return v, nil
		case v.Status == Corrupt && corrupt == nil:
			corrupt = fmt.Errorf("model %q has no good version: %w", model, v.Err)
		}
	}
	return nil, corrupt
}

func noVersion(format string, args ...any) error {
	return &lang.Error{Code: "SQ6003", Stage: lang.StagePlan, Msg: fmt.Sprintf(format, args...)}
}
