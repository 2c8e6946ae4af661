package inspect

import (
	"context"
	"encoding/json"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// Engine is the view of an engine that this package shows. It has one method per kind of object, because each
// statement shows another kind.
type Engine interface {
	// Catalog returns the latest snapshot of the catalog that this process has applied.
	Catalog() *catalog.Catalog
	// Functions returns the registry of functions.
	Functions() *udf.Registry
	// Connectors returns the registry of connectors.
	Connectors() *connect.Registry
	// Formats returns the registry of formats.
	Formats() *format.Registry
	// Jobs lists the jobs with their status.
	Jobs(ctx context.Context) []Job
	// Versions lists the versions of a model, the oldest first.
	Versions(model string) []models.Version
	// Training returns the plan of a model's statement.
	Training(m *catalog.Model) (*planner.Training, error)
	// Serving returns the number of the version that predictions use by default, 0 if the model has none.
	Serving(model string) int
	// Topics lists the topics of the broker.
	Topics(ctx context.Context) ([]topic.Topic, error)
	// Prefix returns the first part of the names of the engine's own topics.
	Prefix() string
}

// Session is the part of a session's settings that this package shows or reads names by.
type Session struct {
	// Exact reports whether the case of names is significant.
	Exact                 bool
	Properties, Variables map[string]string
}

func (s Session) fold(n lang.Name) string { return n.Fold(s.Exact) }

// Job is the status of a job, from this process and from the other owners that responded in time.
type Job struct {
	// Name is the name of the job, Kind the kind of its definition, such as MODEL. Fills is the relation or model
	// that the job fills. Statement is the text of the definition.
	Name, Kind, Fills, Statement string
	State                        exec.State
	Since                        time.Time        // the time of the change to State; zero if unknown
	Failure                      *catalog.Failure // in FAILED, RESTARTING and DEGRADED, else nil
	Attempt                      int              // the number of the restart, in RESTARTING
	Next                         time.Time        // the time of the next start, in RESTARTING
	Waits                        string           // the missing model version, in WAITING
	Counts                       exec.Counts      // the sums over all owners
	// Counted reports whether Counts includes all owners of the job's tasks. If not, Counts must not be shown.
	Counted bool
}

var jobFields = []arrow.Field{
	flow.Field("job", flow.String), flow.Field("kind", flow.String), flow.Field("fills", flow.String),
	flow.Field("status", flow.String),
	flow.Field("rows", flow.Bigint), flow.Field("late", flow.Bigint), flow.Field("dead_letters", flow.Bigint),
	flow.Field("gaps", flow.Bigint),
	flow.Field("recoveries", flow.Bigint), flow.Field("error", flow.String), flow.Field("statement", flow.String),
	flow.Field("code", flow.String),
	flow.Field("cure", flow.String), flow.Field("attempts", flow.Int), flow.Field("waits_for", flow.String),
	flow.Field("since", flow.Timestamp),
}

// JobFields returns the columns of SHOW JOBS and streamql.jobs.
func JobFields() []arrow.Field { return jobFields }

// Jobs returns the rows of SHOW JOBS and streamql.jobs.
func Jobs(list []Job) *flow.Batch {
	var rows [][]any
	for _, j := range list {
		row := []any{j.Name, j.Kind, j.Fills, string(j.State), nil, nil, nil, nil, nil, nil, j.Statement, nil, nil,
			nil, nil, nil}
		if j.Counted {
			row[4], row[5], row[6], row[7], row[8] = j.Counts.Rows, j.Counts.Late, j.Counts.Letters, j.Counts.Gaps,
				j.Counts.Resumed
		}
		if f := j.Failure; f != nil {
			row[9], row[11], row[12] = f.Cause, text(f.Code), text(f.Cure)
			if f.Code != "" && !strings.Contains(f.Cause, f.Code) {
				row[9] = f.Code + ": " + f.Cause
			}
		}
		if j.Attempt > 0 {
			row[13] = int32(j.Attempt)
		}
		row[14] = text(j.Waits)
		if !j.Since.IsZero() {
			row[15] = arrow.Timestamp(j.Since.UnixMilli())
		}
		rows = append(rows, row)
	}
	return Batch(jobFields, rows)
}

// text returns NULL for an empty string.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

var versionFields = []arrow.Field{
	flow.Field("model", flow.String), flow.Field("version", flow.Int), flow.Field("status", flow.String),
	flow.Field("type", flow.String),
	flow.Field("parent", flow.Int), flow.Field("trained_from", flow.Bigint), flow.Field("trained_to", flow.Bigint),
	flow.Field("known_at", flow.Bigint),
	flow.Field("rows", flow.Bigint), flow.Field("metrics", flow.Map(flow.String, flow.Double)),
	flow.Field("threshold", flow.Double),
	flow.Field("bytes", flow.Bigint), flow.Field("sha256", flow.String),
	flow.Field("created", flow.Bigint), flow.Field("manifest", flow.String),
}

// VersionFields returns the columns of SHOW MODEL VERSIONS and streamql.models.
func VersionFields() []arrow.Field { return versionFields }

// Versions returns one row per version of the named models.
func Versions(e Engine, names ...string) *flow.Batch {
	var rows [][]any
	for _, model := range names {
		for _, v := range e.Versions(model) {
			rows = append(rows, versionRow(model, v))
		}
	}
	return Batch(versionFields, rows)
}

// manifest returns a manifest as JSON.
func manifest(m ml.Manifest) any {
	b, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return string(b)
}

func versionRow(model string, v models.Version) []any {
	m := v.Manifest
	var threshold any
	if m.Threshold != nil {
		threshold = *m.Threshold
	}
	metrics := []flow.Entry{}
	for k, x := range m.Metrics {
		metrics = append(metrics, flow.Entry{Key: k, Value: x})
	}
	sort.Slice(metrics, func(i, j int) bool { return metrics[i].Key.(string) < metrics[j].Key.(string) })
	return []any{model, int32(v.Number), string(v.Status), m.Type, int32(m.Parent), m.TrainedFrom, m.TrainedTo,
		m.KnownAt, m.Rows["used"], metrics,
		threshold, int64(m.Payload.Bytes), m.Payload.SHA256, m.Finished, manifest(m)}
}

// PassFields are the columns of ML_TRAINING_INFO.
var PassFields = []arrow.Field{flow.Field("version", flow.Int), flow.Field("pass", flow.Int),
	flow.Field("rows", flow.Bigint), flow.Field("loss", flow.Double)}

// Passes returns one row per training pass of version number of a model, or of all versions if number is 0. A version
// without recorded losses has one row, with a NULL loss.
func Passes(list []models.Version, number int) *flow.Batch {
	var rows [][]any
	for _, v := range list {
		if number > 0 && v.Number != number {
			continue
		}
		for i, loss := range v.Manifest.Losses {
			rows = append(rows, []any{int32(v.Number), int32(i + 1), v.Manifest.Rows["used"], loss})
		}
		if len(v.Manifest.Losses) == 0 {
			rows = append(rows, []any{int32(v.Number), int32(1), v.Manifest.Rows["used"], nil})
		}
	}
	return Batch(PassFields, rows)
}
