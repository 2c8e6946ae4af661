package inspect

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
)

// Engine is what there is to be shown.
type Engine interface {
	Catalog() *catalog.Catalog
	Functions() *udf.Registry
	Connectors() *connect.Registry
	Formats() *format.Registry
	Jobs(ctx context.Context) []Job
	Versions(model string) []models.Version
	// Serving is the number of the version that answers by default; 0: none.
	Serving(model string) int
	Topics(ctx context.Context) ([]topic.Topic, error)
	// Prefix begins the names of the engine's own topics.
	Prefix() string
}

// Job is what is known of a job, in this process and, as far as they answer, in the others.
type Job struct {
	Name, Kind, Fills, Statement string
	State                        exec.State
	Since                        time.Time
	Failure                      *catalog.Failure // of FAILED, RESTARTING and DEGRADED; nil: none
	Attempt                      int              // of RESTARTING
	Next                         time.Time        // of RESTARTING
	Waits                        string           // of WAITING
	Counts                       exec.Counts
	// Counted says that Counts has all processes that run the job; else nobody knows them.
	Counted bool
}

var jobFields = []arrow.Field{
	flow.Field("job", flow.String), flow.Field("kind", flow.String), flow.Field("fills", flow.String), flow.Field("status", flow.String),
	flow.Field("rows", flow.Bigint), flow.Field("late", flow.Bigint), flow.Field("dead_letters", flow.Bigint), flow.Field("gaps", flow.Bigint),
	flow.Field("recoveries", flow.Bigint), flow.Field("error", flow.String), flow.Field("statement", flow.String), flow.Field("code", flow.String),
	flow.Field("cure", flow.String), flow.Field("attempts", flow.Int), flow.Field("waits_for", flow.String), flow.Field("since", flow.Timestamp),
}

// JobFields are the columns of SHOW JOBS and streamql.jobs.
func JobFields() []arrow.Field { return jobFields }

// Jobs are the rows of SHOW JOBS and streamql.jobs.
func Jobs(list []Job) *flow.Batch {
	var rows [][]any
	for _, j := range list {
		row := []any{j.Name, j.Kind, j.Fills, string(j.State), nil, nil, nil, nil, nil, nil, j.Statement, nil, nil, nil, nil, nil}
		if j.Counted {
			row[4], row[5], row[6], row[7], row[8] = j.Counts.Rows, j.Counts.Late, j.Counts.Letters, j.Counts.Gaps, j.Counts.Resumed
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

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

var versionFields = []arrow.Field{
	flow.Field("model", flow.String), flow.Field("version", flow.Int), flow.Field("status", flow.String), flow.Field("type", flow.String),
	flow.Field("parent", flow.Int), flow.Field("trained_from", flow.Bigint), flow.Field("trained_to", flow.Bigint), flow.Field("known_at", flow.Bigint),
	flow.Field("rows", flow.Bigint), flow.Field("metrics", flow.Map(flow.String, flow.Double)), flow.Field("threshold", flow.Double),
	flow.Field("bytes", flow.Bigint), flow.Field("sha256", flow.String),
}

// VersionFields are the columns of SHOW MODEL VERSIONS and streamql.models.
func VersionFields() []arrow.Field { return versionFields }

// Versions are the rows of the versions of models.
func Versions(e Engine, names ...string) *flow.Batch {
	var rows [][]any
	for _, model := range names {
		for _, v := range e.Versions(model) {
			rows = append(rows, versionRow(model, v))
		}
	}
	return Batch(versionFields, rows)
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
	return []any{model, int32(v.Number), string(v.Status), m.Type, int32(m.Parent), m.TrainedFrom, m.TrainedTo, m.KnownAt, m.Rows["used"], metrics,
		threshold, int64(m.Payload.Bytes), m.Payload.SHA256}
}

// PassFields are the columns of ML_TRAINING_INFO.
var PassFields = []arrow.Field{flow.Field("version", flow.Int), flow.Field("pass", flow.Int), flow.Field("rows", flow.Bigint), flow.Field("loss", flow.Double)}

// Passes are the passes of the training of each version of a model; number 0: of all.
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
