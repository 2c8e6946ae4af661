package exec

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/streamql/streamql/topic"
)

// slot is a task's entry in a worker, whether or not the task runs here: its inputs, and the
// changelog partition that represents it in the job's group. The first five fields come from
// the plan and never change. All others belong to the goroutine that calls Worker.step, unless
// they say otherwise. task is written under Worker.mu as well, so that other goroutines may
// read it with the lock.
type slot struct {
	name      string
	changelog topic.Partition
	stage     *Stage
	id        int32
	inputs    []assigned

	want    want
	phase   phase
	topicID string // id of the changelog topic, as of the last restore
	// set while the slot is running, and while its last work is committed before it leaves;
	// else nil
	task  *Task
	reads []*reading // the partitions that are being read
	drain drain

	report report  // guarded by Worker.mu
	replay restore // atomic
}

// want is the group's last decision about a slot.
type want uint8

// The decisions.
const (
	nothing want = iota
	warm         // a standby copy of its state
	owned        // its task
)

// phase is the present activity of a worker for a slot.
type phase uint8

// The phases.
const (
	absent    phase = iota // nothing
	restoring              // its store is being restored
	standby                // a standby copy is maintained
	running                // its task is open
	leaving                // it was revoked, and its work has not ended yet
)

// String returns the name of the phase.
func (p phase) String() string {
	return [...]string{"absent", "restoring", "standby", "running", "leaving"}[p]
}

// follows lists the phases that may follow each phase. Two activities of one slot never follow
// each other directly, only through leaving and absent: if they overlapped, both would write
// into the slot's store.
var follows = [...][]phase{
	absent:    {restoring, standby},
	restoring: {running, leaving},
	standby:   {leaving},
	running:   {leaving},
	leaving:   {absent},
}

// to changes the phase. It panics if the table does not allow the change.
func (u *slot) to(next phase) {
	if !slices.Contains(follows[u.phase], next) {
		panic(fmt.Sprintf("exec: the slot of task %s cannot change from %s to %s", u.name, u.phase, next))
	}
	u.phase = next
}

// drain is how far the draining of a slot is.
type drain uint8

// The stages of a drain.
const (
	pending drain = iota
	underway
	done
)

// TaskName returns the name of the task, and of its store, whose state is partition id of one
// of the job's changelogs.
func TaskName(prefix, job, changelog string, id int32) string {
	return fmt.Sprintf(
		"%s.%s.%d",
		job,
		strings.TrimPrefix(changelog, strings.TrimSuffix(ChangelogTopic(prefix, job, 0), "0")),
		id,
	)
}

// ChangelogTopic returns the name of the topic that stores the state of a stage's tasks, one
// partition per task.
func ChangelogTopic(prefix, job string, stage int) string {
	return fmt.Sprintf("%s.changelog.%s.%d", prefix, topic.SafeName(job), stage)
}

// slots divides a plan into tasks, in the order of stages and partition numbers.
func slots(prefix, job string, stages []Stage) []*slot {
	var out []*slot
	for i := range stages {
		st := &stages[i]
		groups := map[int32][]assigned{}
		for _, node := range st.Order {
			for _, s := range st.Spans[node] {
				g := s.ID
				if st.Gather {
					g = 0
				}
				groups[g] = assign(groups[g], node, s)
			}
		}
		if len(st.Order) == 0 { // a stage without inputs: one task without a reader
			groups[0] = nil
		}
		from := len(out)
		for id, inputs := range groups {
			sort.Slice(inputs, func(i, j int) bool {
				return topic.Compare(inputs[i].Partition, inputs[j].Partition) < 0
			})
			out = append(out, &slot{name: fmt.Sprintf("%s.%d.%d", job, i, id), stage: st, id: id, inputs: inputs,
				changelog: topic.Partition{Topic: ChangelogTopic(prefix, job, i), ID: id}})
		}
		slices.SortFunc(out[from:], func(a, b *slot) int { return int(a.id) - int(b.id) })
	}
	return out
}

// bounded reports whether every input of the slot ends.
func (u *slot) bounded() bool {
	for _, s := range u.inputs {
		if s.To == topic.End {
			return false
		}
	}
	return true
}

// topics returns the names of the topics that the slot reads.
func (u *slot) topics() []string {
	var out []string
	for _, in := range u.inputs {
		if !slices.Contains(out, in.Topic) {
			out = append(out, in.Topic)
		}
	}
	return out
}

// Changelogs returns the names of a plan's changelog topics with the number of partitions of
// each.
func Changelogs(prefix, job string, stages []Stage) map[string]int32 {
	out := map[string]int32{}
	for _, u := range slots(prefix, job, stages) {
		out[u.changelog.Topic] = max(out[u.changelog.Topic], u.changelog.ID+1)
	}
	return out
}

// Tasks returns the changelog partitions of the last stage, which identify the tasks that
// compute a job's result.
func Tasks(prefix, job string, stages []Stage) []topic.Partition {
	all := slots(prefix, job, stages)
	if len(all) == 0 {
		return nil
	}
	var out []topic.Partition
	for _, u := range all {
		if u.stage == all[len(all)-1].stage {
			out = append(out, u.changelog)
		}
	}
	return out
}
