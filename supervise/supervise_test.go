package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/topic"
)

// TestClasses holds the table of error classes.
func TestClasses(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Class
	}{
		{topic.ErrUnreachable, Heals}, {topic.ErrNotYet, Heals}, {topic.ErrLost, Heals}, {topic.ErrFenced, Heals}, {syscall.ENOSPC, Heals},
		{context.DeadlineExceeded, Heals}, {topic.ErrUnknownTopic, Unknown}, {topic.ErrTopicReplaced, Decision}, {exec.ErrMoved, Decision},
		{exec.ErrPartitions, Decision}, {topic.ErrRefused, Decision}, {topic.ErrGap{}, Decision}, {&lang.Error{Code: "SQ5102"}, Decision},
		{&exec.PanicError{Value: 1}, Bug}, {errors.New("what is this"), Bug}, {&os.PathError{Op: "write", Err: syscall.ENOSPC}, Heals},
	} {
		if got := Classify(fmt.Errorf("job j: %w", c.err)); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// script is a world in which building a job fails with the listed errors, and after those with
// the last one.
type script struct {
	mu     sync.Mutex
	s      *Supervisor
	c      *catalog.Catalog
	fails  map[string][]error
	tries  map[string][]time.Time
	states map[string][]exec.State
	forgot []string
	waits  chan struct{} // nil: no precondition
}

func newScript(t *testing.T, p Policy, jobs ...string) *script {
	w := &script{
		fails:  map[string][]error{},
		tries:  map[string][]time.Time{},
		states: map[string][]exec.State{},
		c:      catalog.New(),
	}
	for _, j := range jobs {
		w.c = w.c.Apply(catalog.Change{Job: &catalog.Job{Name: j}})
	}
	w.s = New(t.Context(), w, p, DefaultPace, func() uint64 { return 0 })
	return w
}

func (w *script) Wait(ctx context.Context, _ *catalog.Job, waiting func(string)) error {
	if w.waits == nil {
		return nil
	}
	waiting("a model")
	select {
	case <-w.waits:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *script) Sync(context.Context, *catalog.Job) error { return nil }

func (w *script) Build(ctx context.Context, j *catalog.Job) (*exec.Job, error) {
	w.mu.Lock()
	w.tries[j.Name] = append(w.tries[j.Name], time.Now())
	list := w.fails[j.Name]
	if len(list) > 0 {
		w.fails[j.Name] = list[1:]
		w.mu.Unlock()
		return nil, list[0]
	}
	w.mu.Unlock()
	<-ctx.Done() // it is running
	return nil, ctx.Err()
}

func (w *script) Report(_ context.Context, s catalog.State) error {
	w.change(catalog.Change{States: []catalog.State{s}})
	return nil
}

func (w *script) change(ch catalog.Change) {
	w.mu.Lock()
	w.c = w.c.Apply(ch)
	c := w.c
	w.mu.Unlock()
	w.s.Set(c)
}

func (w *script) Forget(_ context.Context, j *catalog.Job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgot = append(w.forgot, j.Name)
	return nil
}

func (w *script) Failure(err error) *catalog.Failure {
	return &catalog.Failure{Code: "SQ", Cause: err.Error(), Cure: "none"}
}

func (w *script) Changed(s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[s.Job.Name] = append(w.states[s.Job.Name], s.State)
}

func (w *script) state(t *testing.T, job string, want exec.State) Status {
	t.Helper()
	synctest.Wait()
	s, ok := w.s.Of(job)
	if !ok || s.State != want {
		t.Fatalf("job %s is %s (%v), want %s; %v", job, s.State, s.Failure, want, w.states[job])
	}
	return s
}

func repeat(err error, n int) []error { return slices.Repeat([]error{err}, n) }

// TestRestarts: temporary errors are retried without a limit and with growing delays,
// unexpected ones three times, and those that need a decision not at all. Jobs do not affect
// each other.
func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScript(t, Live, "heals", "bug", "decides", "unknown", "runs")
		defer w.s.Close()
		w.fails["heals"] = repeat(topic.ErrUnreachable, 20)
		w.fails["bug"] = repeat(errors.New("odd"), 20)
		w.fails["decides"] = repeat(topic.ErrTopicReplaced, 20)
		w.fails["unknown"] = repeat(topic.ErrUnknownTopic, 200)
		w.s.Set(w.c)
		w.state(t, "decides", exec.Failed)
		w.state(t, "bug", exec.Restarting)
		if s := w.state(t, "heals", exec.Restarting); s.Attempt != 1 || s.Failure == nil ||
			!s.Next.After(time.Now()) {
			t.Errorf("%+v", s)
		}
		w.state(t, "runs", exec.Starting)
		time.Sleep(10 * time.Minute)
		w.state(t, "bug", exec.Failed)
		w.state(t, "unknown", exec.Failed)
		w.state(t, "heals", exec.Starting) // it is running
		if n := len(w.tries["bug"]); n != 1+maxBugs {
			t.Errorf("a bug is tried %d times", n)
		}
		if n := len(w.tries["decides"]); n != 1 {
			t.Errorf("what needs a decision is tried %d times", n)
		}
		if n := len(w.tries["runs"]); n != 1 {
			t.Errorf("the job that runs was started %d times", n)
		}
		tries := w.tries["heals"]
		for i := 2; i < len(tries); i++ {
			if now, before := tries[i].Sub(tries[i-1]), tries[i-1].Sub(tries[i-2]); now < before ||
				now > DefaultPace.Longest {
				t.Errorf("pauses %v and %v", before, now)
			}
		}
		for _, j := range []string{"bug", "decides"} { // RESTART
			w.change(catalog.Change{States: []catalog.State{{Job: j, State: catalog.Running}}})
		}
		w.state(t, "decides", exec.Failed)
		if len(w.tries["decides"]) != 2 {
			t.Errorf("RESTART tried %v", w.tries["decides"])
		}
	})
}

// TestWishes: a job that waits, restarts or runs is paused, resumed and ended whenever the
// catalog changes.
func TestWishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScript(t, Live, "a")
		w.waits = make(chan struct{})
		w.s.Set(w.c)
		if s := w.state(t, "a", exec.Waiting); s.Waits != "a model" {
			t.Errorf("%+v", s)
		}
		w.change(catalog.Change{States: []catalog.State{{Job: "a", State: catalog.Paused}}})
		w.state(t, "a", exec.Paused)
		w.fails["a"] = repeat(topic.ErrUnreachable, 1)
		close(w.waits)
		w.change(catalog.Change{States: []catalog.State{{Job: "a", State: catalog.Running}}})
		w.state(t, "a", exec.Restarting)
		// nothing that the run depends on
		w.change(catalog.Change{States: []catalog.State{{Job: "a", State: catalog.Made}}})
		w.state(t, "a", exec.Restarting)
		time.Sleep(time.Minute)
		w.state(t, "a", exec.Starting)
		tries := len(w.tries["a"])
		w.change(catalog.Change{States: []catalog.State{{Job: "a", State: catalog.Made}}})
		synctest.Wait()
		if len(w.tries["a"]) != tries {
			t.Error("a change of no concern has restarted the job")
		}
		w.change(catalog.Change{End: []string{"a"}})
		if err := w.s.Gone(t.Context()); err != nil || !slices.Equal(w.forgot, []string{"a"}) {
			t.Errorf("%v, forgotten %v", err, w.forgot)
		}
		if _, err := w.s.Settled(t.Context(), "a"); err == nil {
			t.Error("a job that is gone settles")
		}
		w.s.Close()
	})
}

// TestClose: Close ends jobs in every status.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScript(t, Live, "waits", "restarts", "runs", "paused", "failed")
		w.fails["restarts"] = repeat(topic.ErrLost, 1000)
		w.fails["failed"] = repeat(topic.ErrRefused, 1)
		w.c = w.c.Apply(catalog.Change{States: []catalog.State{{Job: "paused", State: catalog.Paused}}})
		w.s.Set(w.c)
		time.Sleep(time.Minute)
		w.s.Close()
		w.s.Set(w.c) // after Close: nothing starts
	})
}
