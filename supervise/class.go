package supervise

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// Class is the category of an error that has ended a job. It determines what happens to the
// job.
type Class int

// The classes.
const (
	Bug      Class = iota // an unexpected error: the job is restarted three times
	Heals                 // the job is restarted until it runs
	Unknown               // an unknown topic: created just now, or deleted
	Decision              // a user must decide: the job is FAILED
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"bug", "heals", "unknown topic", "needs a decision"}[c]
}

// maxBugs is the number of restarts after unexpected errors.
const maxBugs = 3

// classes maps errors to classes. The first match counts.
var classes = []struct {
	err   error
	class Class
}{
	{
		topic.ErrTopicReplaced,
		Decision,
	}, {exec.ErrMoved, Decision}, {exec.ErrPartitions, Decision}, {state.ErrFormat, Decision},
	{
		topic.ErrRefused,
		Decision,
	}, {topic.ErrTooLarge, Decision}, {flow.ErrFull, Heals}, {flow.ErrQuota, Decision}, {udf.ErrLimit, Decision},
	{ml.ErrNoRows, Decision}, {ml.ErrLoss, Decision}, {ml.ErrCannot, Decision}, // the same rows train the same model again
	{topic.ErrUnknownTopic, Unknown},
	{
		models.ErrNoVersion,
		Heals,
	}, {topic.ErrLost, Heals}, {topic.ErrUnreachable, Heals}, {topic.ErrFenced, Heals}, {context.DeadlineExceeded, Heals},
	{
		syscall.ENOSPC,
		Heals,
	}, {syscall.EDQUOT, Heals}, {syscall.EMFILE, Heals}, {syscall.ENFILE, Heals}, {syscall.ECONNREFUSED, Heals}, {syscall.ECONNRESET, Heals},
}

// Classify returns the class of an error that has ended a job.
func Classify(err error) Class {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.class
		}
	}
	var gap topic.ErrGap
	var panicked *exec.PanicError
	var told *lang.Error
	switch {
	case errors.As(err, &gap):
		return Decision
	case errors.As(err, &panicked):
		return Bug
	case errors.As(err, &told): // a plan or an option that cannot be executed
		return Decision
	}
	return Bug
}

// Passing reports whether the failed call may succeed later without intervention.
func Passing(err error) bool {
	return topic.Passing(err) || errors.Is(err, context.DeadlineExceeded)
}

// trouble counts the failures of one generation of a job.
type trouble struct {
	pace     Pace
	random   func() uint64
	attempts int // consecutive restarts
	bugs     int
	unknown  time.Duration // how long a topic has been unknown
}

// next decides whether a job is restarted after an error, and after which delay. ran is how
// long the job had been running.
func (t *trouble) next(err error, ran time.Duration) (wait time.Duration, again bool) {
	if ran >= t.pace.Settle {
		t.attempts, t.bugs, t.unknown = 0, 0, 0
	}
	wait = t.pace.First << min(t.attempts, 16)
	wait = min(wait, t.pace.Longest)
	// The delay is random between half of it and all of it. Jobs that failed together, in several
	// processes, do not restart together.
	wait = wait/2 + time.Duration(t.random()%uint64(wait/2+1))
	t.attempts++
	switch Classify(err) {
	case Decision:
		return 0, false
	case Unknown:
		// A topic counts as unknown during the whole time between the failures, including the
		// delay.
		t.unknown += ran + wait
		return wait, t.unknown < t.pace.Unknown
	case Bug:
		t.bugs++
		return wait, t.bugs <= maxBugs
	}
	return wait, true
}
