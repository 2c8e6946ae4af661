package engine

import (
	"sync"

	"github.com/streamql/streamql/topic"
)

// owners holds the last assignment of each job that this process is a member of. Any goroutine may use it.
// A worker stores each assignment here when its member receives it. The last assignment stays after a member has left,
// until the next Join replaces it.
type owners struct {
	jobs sync.Map // from the name of a job to its topic.Assignment
	met  sync.Map // the keys are the addresses of present and former owners, to query about jobs without owners
}

func (o *owners) set(job string, a topic.Assignment) { o.jobs.Store(job, a) }

// of returns the last assignment of a job, and false if this process has had none.
func (o *owners) of(job string) (topic.Assignment, bool) {
	a, ok := o.jobs.Load(job)
	if !ok {
		return topic.Assignment{}, false
	}
	return a.(topic.Assignment), true
}
