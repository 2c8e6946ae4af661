package streamql

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"sync"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// keeper keeps the versions of all models as their topics have them: each is read, checked and decoded once, away from the tasks
// that use it, which take the pointer between two batches.
type keeper struct {
	e      *Engine
	mu     sync.Mutex
	more   *sync.Cond // a version has come, or the engine closes
	models map[string]*versions
	closed bool
}

// versions are the versions of one model.
type versions struct {
	list []*version // by number
	next topic.Offset
	raw  map[int][]topic.Record // records of versions whose manifest has not come
	// unfollow ends what reads the topic as it grows; nil: nothing does.
	unfollow context.CancelFunc
}

type version struct {
	number   int
	manifest ml.Manifest
	bundle   *ml.Bundle // nil: corrupt or dropped
	status   string     // READY, CORRUPT, DROPPED
	err      error
}

var errNoVersion = errors.New("the model has no version yet")

func newKeeper(e *Engine) *keeper {
	k := &keeper{e: e, models: map[string]*versions{}}
	k.more = sync.NewCond(&k.mu)
	return k
}

func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.more.Broadcast()
}

func (e *Engine) modelTopic(model string) string { return e.own("model." + topic.SafeName(model)) }

// open makes the model's topic if need be and reads what it holds.
func (k *keeper) open(ctx context.Context, model string) error {
	err := k.e.broker.Create(ctx, k.e.modelTopic(model), topic.Config{Partitions: 1, RetentionMs: -1, Compact: true})
	if err != nil && !errors.Is(err, topic.ErrTopicExists) {
		return err
	}
	if err := k.refresh(ctx, model); err != nil {
		return err
	}
	if k.e.shared() { // other processes publish too
		k.follow(model)
	}
	return nil
}

// follow reads a model's topic as it grows, until the model is forgotten or the engine closes.
func (k *keeper) follow(model string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.models[model]
	if m.unfollow != nil {
		return
	}
	ctx, cancel := context.WithCancel(k.e.ctx)
	m.unfollow = cancel
	span := topic.Span{Partition: topic.Partition{Topic: k.e.modelTopic(model)}, From: m.next, To: topic.End}
	k.e.background.Go(func() {
		k.e.follow(ctx, span, func() error { return k.refresh(ctx, model) })
	})
}

func (k *keeper) forget(model string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.models[model]; m != nil && m.unfollow != nil {
		m.unfollow()
	}
	delete(k.models, model)
}

// refresh reads what has been committed to a model's topic since the last time.
func (k *keeper) refresh(ctx context.Context, model string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.models[model]
	if m == nil {
		m = &versions{raw: map[int][]topic.Record{}}
		k.models[model] = m
	}
	d, err := k.e.broker.Describe(ctx, k.e.modelTopic(model))
	if err != nil {
		return err
	}
	span := d.Partitions[0]
	span.From = max(span.From, m.next)
	records, err := readSpan(ctx, k.e.broker, span)
	if err != nil {
		return err
	}
	m.next = span.To
	for _, r := range records {
		m.take(r)
	}
	k.more.Broadcast()
	return nil
}

// take files one record; a manifest completes its version.
func (m *versions) take(r topic.Record) {
	key, ok := ml.ParseKey(r.Key)
	if !ok {
		return
	}
	if r.Value == nil {
		if v := m.number(key.Version); v != nil {
			v.status, v.bundle = "DROPPED", nil
		}
		return
	}
	m.raw[key.Version] = append(m.raw[key.Version], r)
	if key.Chunk >= 0 {
		return
	}
	v := &version{number: key.Version, status: "READY"}
	v.bundle, v.manifest, v.err = ml.Decode(m.raw[key.Version])
	if v.err != nil {
		v.status, v.bundle = "CORRUPT", nil
		v.manifest, _ = ml.ReadManifest(r.Value)
	}
	delete(m.raw, key.Version)
	if old := m.number(key.Version); old != nil {
		*old = *v
		return
	}
	m.list = append(m.list, v)
	sort.Slice(m.list, func(i, j int) bool { return m.list[i].number < m.list[j].number })
}

func (m *versions) number(n int) *version {
	for _, v := range m.list {
		if v.number == n {
			return v
		}
	}
	return nil
}

// serving is the version that answers: the one asked for, else the newest good one.
func (m *versions) serving(number int) *version {
	if number > 0 {
		return m.number(number)
	}
	for i := len(m.list) - 1; i >= 0; i-- {
		if m.list[i].bundle != nil {
			return m.list[i]
		}
	}
	return nil
}

// all lists the versions of a model.
func (k *keeper) all(model string) []version {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []version
	if m := k.models[model]; m != nil {
		for _, v := range m.list {
			out = append(out, *v)
		}
	}
	return out
}

// get returns a version's bundle now.
func (k *keeper) get(model string, number int) (*ml.Bundle, int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.models[model]
	if m == nil {
		return nil, 0, &Error{Code: "SQ6001", Msg: fmt.Sprintf("model %q does not exist", model)}
	}
	v := m.serving(number)
	if v == nil {
		if number > 0 {
			return nil, 0, &Error{Code: "SQ6003", Msg: fmt.Sprintf("model %q has no version %d", model, number)}
		}
		if n := len(m.list); n > 0 {
			return nil, 0, fmt.Errorf("model %q has no good version: %w", model, m.list[n-1].err)
		}
		return nil, 0, nil
	}
	if v.bundle == nil {
		if v.err != nil {
			return nil, 0, fmt.Errorf("model %s$%d: %w", model, number, v.err)
		}
		return nil, 0, &Error{Code: "SQ6003", Msg: fmt.Sprintf("version %d of model %q was dropped", number, model)}
	}
	return v.bundle, v.number, nil
}

// jobModels is the models as one job sees them: what it publishes is numbered at once and appears at its commit.
type jobModels struct {
	k       *keeper
	pending map[string]int // versions published since the last commit, by model
	stopped bool           // the job is to stop; k.mu guards it
}

func (k *keeper) forJob() *jobModels { return &jobModels{k: k, pending: map[string]int{}} }

// Version implements exec.Models.
func (j *jobModels) Version(model string, number int, wait bool) (any, int, error) {
	for {
		b, n, err := j.k.get(model, number)
		if err != nil {
			return nil, 0, err
		}
		if b != nil {
			return b, n, nil
		}
		if !wait {
			return nil, 0, nil
		}
		if j.k.e.manual {
			return nil, 0, fmt.Errorf("model %q: %w", model, errNoVersion)
		}
		j.k.mu.Lock()
		if j.k.closed || j.stopped {
			j.k.mu.Unlock()
			return nil, 0, context.Canceled
		}
		if m := j.k.models[model]; m == nil || m.serving(number) == nil {
			j.k.more.Wait()
		}
		j.k.mu.Unlock()
	}
}

// stop lets go of a job that waits for a version.
func (j *jobModels) stop() {
	j.k.mu.Lock()
	defer j.k.mu.Unlock()
	j.stopped = true
	j.k.more.Broadcast()
}

// Swapped implements exec.Models.
func (j *jobModels) Swapped(job, model string, from, to int, out exec.Output) error {
	return j.Note(out, exec.TrainingEvent{Model: model, Event: "swap", Metric: "version", Value: float64(to), Version: to, Job: job,
		Time: j.k.e.now().UnixMilli(), Detail: fmt.Sprintf("from %d", from)})
}

// Publish implements exec.Models.
func (j *jobModels) Publish(model string, v any, out exec.Output) (int, error) {
	ver := v.(op.Version)
	j.k.mu.Lock()
	last, parent := 0, 0
	if m := j.k.models[model]; m != nil && len(m.list) > 0 {
		last = m.list[len(m.list)-1].number
		if s := m.serving(0); s != nil {
			parent = s.number
		}
	}
	j.k.mu.Unlock()
	j.pending[model]++
	n := last + j.pending[model]
	man := ver.Manifest
	man.Version, man.Parent, man.UUID = n, parent, rand.Text()
	man.Finished = j.k.e.now().UnixMilli()
	man.Build = map[string]string{"go": runtime.Version(), "goos": runtime.GOOS, "goarch": runtime.GOARCH, "version": Version}
	records, _, err := ml.Encode(ver.Bundle, man)
	if err != nil {
		return 0, err
	}
	records = append(records, j.k.surplus(model, n, ver.Bundle.Spec.Options)...)
	for i := range records {
		records[i].Time = man.Finished
	}
	return n, out.Write(topic.Partition{Topic: j.k.e.modelTopic(model)}, records...)
}

// surplus is the tombstones of the version that a new one pushes out of those to be kept. Its manifest stays as a record of what it was.
func (k *keeper) surplus(model string, n int, o ml.Options) []topic.Record {
	keep, ok := o.Value("keep_versions").(int64)
	if !ok {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []topic.Record
	if m := k.models[model]; m != nil {
		for _, v := range m.list {
			if v.number <= n-int(keep) && v.status == "READY" {
				out = append(out, v.tombstones()...)
			}
		}
	}
	return out
}

// tombstones delete a version's chunks.
func (v *version) tombstones() []topic.Record {
	var out []topic.Record
	for c := range v.manifest.Payload.Chunks {
		out = append(out, topic.Record{Key: []byte(ml.Key{Version: v.number, Chunk: c}.String())})
	}
	return out
}

// trainingRow is a row of streamql.training.
type trainingRow struct {
	Model   string  `json:"model"`
	Version int     `json:"version"`
	Event   string  `json:"event"`
	Pass    int     `json:"pass"`
	Rows    int64   `json:"rows"`
	Metric  string  `json:"metric"`
	Value   float64 `json:"value"`
	Job     string  `json:"job"`
	Detail  string  `json:"detail"`
}

// Note implements exec.Models.
func (j *jobModels) Note(out exec.Output, ev exec.TrainingEvent) error {
	value, err := json.Marshal(trainingRow{ev.Model, ev.Version, ev.Event, ev.Pass, ev.Rows, ev.Metric, ev.Value, ev.Job, ev.Detail})
	if err != nil {
		return err
	}
	return out.Write(topic.Partition{Topic: j.k.e.own(trainingTopic)}, topic.Record{Value: value, Time: max(ev.Time, 0)})
}

// committed makes what the job has published visible.
func (j *jobModels) committed() {
	for model := range j.pending {
		if err := j.k.refresh(context.Background(), model); err != nil && j.k.e.warn != nil {
			j.k.e.warn(wrap(err, nil).(*Error))
		}
	}
	clear(j.pending)
}

// aborted takes the numbers back.
func (j *jobModels) aborted() { clear(j.pending) }
