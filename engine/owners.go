package engine

import (
	"sync"

	"github.com/streamql/streamql/topic"
)

// owners knows who runs which task, as the groups of the jobs said last.
type owners struct {
	jobs sync.Map // topic.Assignment by job
	met  sync.Map // addresses of processes that own tasks or did, for asking them of jobs that nobody owns
}

func (o *owners) set(job string, a topic.Assignment) { o.jobs.Store(job, a) }

func (o *owners) of(job string) (topic.Assignment, bool) {
	a, ok := o.jobs.Load(job)
	if !ok {
		return topic.Assignment{}, false
	}
	return a.(topic.Assignment), true
}
