package exec

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/streamql/streamql/topic"
)

// unit is a task's place in the plan, whichever process runs it now: what it reads, and the partition of the changelog that represents it in the
// job's group. The first five fields are the plan's and never change. The others belong to the goroutine that calls Worker.step; task
// changes under Worker.mu as well, so that others may look at it.
type unit struct {
	name      string
	changelog topic.Partition
	stage     *Stage
	id        int32
	inputs    []assigned

	want    want
	phase   phase
	topicID string     // of the changelog, as of the last restore
	task    *Task      // while the unit is running, and while what it has done is committed before it leaves; else nil
	reads   []*reading // what is read for the task
	drain   drain

	report report  // guarded by Worker.mu
	replay restore // anybody's
}

// want is what the group's last assignment says of a unit.
type want uint8

const (
	nothing want = iota
	warm         // a copy of its state is to be kept
	owned        // its task is to run here
)

// phase is what a worker has of a unit.
type phase uint8

const (
	absent    phase = iota // nothing is done for it
	restoring              // its store is brought up to its changelog
	standby                // a copy of its state is kept
	running                // its task is open
	leaving                // it is given up, and what was being done for it has not ended yet
)

func (p phase) String() string {
	return [...]string{"absent", "restoring", "standby", "running", "leaving"}[p]
}

// follows are the phases that may come after each. There is no way from one that does something for a unit to another that does not lead
// through leaving and absent: two that touch one unit's stored state at the same time would spoil it.
var follows = [...][]phase{
	absent:    {restoring, standby},
	restoring: {running, leaving},
	standby:   {leaving},
	running:   {leaving},
	leaving:   {absent},
}

// to changes the phase.
func (u *unit) to(next phase) {
	if !slices.Contains(follows[u.phase], next) {
		panic(fmt.Sprintf("exec: task %s cannot go from %s to %s", u.name, u.phase, next))
	}
	u.phase = next
}

// drain is how far a unit is worked off.
type drain uint8

const (
	pending drain = iota
	underway
	done
)

// TaskName names the task of a job whose state is partition id of one of its changelogs. Its store has that name.
func TaskName(prefix, job, changelog string, id int32) string {
	return fmt.Sprintf("%s.%s.%d", job, strings.TrimPrefix(changelog, strings.TrimSuffix(ChangelogTopic(prefix, job, 0), "0")), id)
}

// ChangelogTopic is the topic that keeps the state of a stage's tasks, one partition a task.
func ChangelogTopic(prefix, job string, stage int) string {
	return fmt.Sprintf("%s.changelog.%s.%d", prefix, topic.SafeName(job), stage)
}

// units cuts a plan into tasks, in the order of stages and partitions.
func units(prefix, job string, stages []Stage) []*unit {
	var out []*unit
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
		if len(st.Order) == 0 { // what it reads is known already: one task without a reader
			groups[0] = nil
		}
		from := len(out)
		for id, inputs := range groups {
			sort.Slice(inputs, func(i, j int) bool {
				return topic.Compare(inputs[i].Partition, inputs[j].Partition) < 0
			})
			out = append(out, &unit{name: fmt.Sprintf("%s.%d.%d", job, i, id), stage: st, id: id, inputs: inputs,
				changelog: topic.Partition{Topic: ChangelogTopic(prefix, job, i), ID: id}})
		}
		slices.SortFunc(out[from:], func(a, b *unit) int { return int(a.id) - int(b.id) })
	}
	return out
}

// bounded reports whether all that a unit reads ends.
func (u *unit) bounded() bool {
	for _, s := range u.inputs {
		if s.To == topic.End {
			return false
		}
	}
	return true
}

// topics are the topics a unit reads.
func (u *unit) topics() []string {
	var out []string
	for _, in := range u.inputs {
		if !slices.Contains(out, in.Topic) {
			out = append(out, in.Topic)
		}
	}
	return out
}

// Changelogs lists the changelog topics of a plan with the number of partitions each needs.
func Changelogs(prefix, job string, stages []Stage) map[string]int32 {
	out := map[string]int32{}
	for _, u := range units(prefix, job, stages) {
		out[u.changelog.Topic] = max(out[u.changelog.Topic], u.changelog.ID+1)
	}
	return out
}

// Tasks lists the partitions of the last stage's changelog, which stand for the tasks that fill a job's result.
func Tasks(prefix, job string, stages []Stage) []topic.Partition {
	all := units(prefix, job, stages)
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
