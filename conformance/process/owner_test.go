package process

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var assigned = regexp.MustCompile(`(?m)^debug: job (\S+), epoch (\d+): tasks \[(.*)\]$`)

// owners checks the assignments that the processes logged: in one epoch of a job's group no task is at two
// processes. A process that restarts over its directory counts as the same one, and may find its membership
// unchanged (KIP-345). It returns the number of assignments.
func (s *site) owners() int {
	s.t.Helper()
	at := map[string]string{}
	n := 0
	for _, p := range s.procs {
		for _, m := range assigned.FindAllStringSubmatch(p.said(), -1) {
			n++
			for _, task := range strings.Fields(m[3]) {
				what := fmt.Sprintf("epoch %s of job %s, task %s", m[2], m[1], task)
				if other, ok := at[what]; ok && other != p.dir {
					s.t.Errorf("%s: both %s and %s own it", what, filepath.Base(other), p.label)
				}
				at[what] = p.dir
			}
		}
	}
	return n
}

// chains checks the changelogs: one owner at a time has written them if the commits of each task are numbered
// 1, 2, 3, .. without a gap or a duplicate. It returns the number of commits, and how often a task moved from
// one producer to another.
func (s *site) chains() (commits, handovers int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	var names []string
	for _, name := range s.topics(ctx) {
		if strings.HasPrefix(name, s.name+".changelog.") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		s.t.Fatal("there are no changelogs")
	}
	type partition struct {
		name string
		id   int32
	}

	seq, last := map[partition]uint64{}, map[partition]string{}
	err := s.all(ctx, names, func(r *kgo.Record) {
		if len(r.Key) != 1 || r.Key[0] != 0 || len(r.Value) < 9 {
			return
		}
		p := partition{r.Topic, r.Partition}
		n, who := binary.BigEndian.Uint64(r.Value[1:]), fmt.Sprintf("%d/%d", r.ProducerID, r.ProducerEpoch)
		if n != seq[p]+1 {
			s.t.Errorf("%s[%d] offset %d: commit %d by producer %s follows commit %d by %s: two owners", r.Topic, r.Partition,
				r.Offset, n, who, seq[p], last[p])
		}
		if last[p] != "" && strings.Split(last[p], "/")[0] != strings.Split(who, "/")[0] {
			handovers++
		}
		seq[p], last[p] = n, who
		commits++
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return commits, handovers
}

// all reads topics from their beginning to their present end, read_committed.
func (s *site) all(ctx context.Context, names []string, f func(*kgo.Record)) error {
	cl := s.client(kgo.ConsumeTopics(names...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(ctx, names...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	left := map[string]bool{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[fmt.Sprintf("%s[%d]", o.Topic, o.Partition)] = true
		}
	})
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return errors.Join(err, fmt.Errorf("not read to the end are %v", left))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if end, _ := ends.Lookup(r.Topic, r.Partition); r.Offset+1 >= end.Offset {
				delete(left, fmt.Sprintf("%s[%d]", r.Topic, r.Partition))
			}
			if !r.Attrs.IsControl() {
				f(r)
			}
		})
	}
	return nil
}
