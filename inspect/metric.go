package inspect

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// Metric is one figure of a process: a value of a measure.
type Metric struct {
	Name   string
	Kind   string // "counter", which only rises while the process lives, or "gauge"
	Help   string
	Labels []Label // in the order of the measure
	Value  float64
}

// Label says what a metric is of.
type Label struct{ Name, Value string }

// Measure describes the metrics of one name.
type Measure struct {
	Name, Kind, Help string
	Labels           []string
}

const (
	counter = "counter"
	gauge   = "gauge"
)

// Measures are all measures of an engine. What is of a job is what this process has seen of it since it was started; the sum over all
// processes is that of the job.
var Measures = []Measure{
	{"streamql_job_state", gauge, "1 for the state that the job is in here, 0 for the others", []string{"job", "state"}},
	{"streamql_job_rows_total", counter, "rows read; those read again after a recovery count again", []string{"job"}},
	{"streamql_job_late_rows_total", counter, "rows that came after their window had closed", []string{"job"}},
	{"streamql_job_dead_letters_total", counter, "records that could not be decoded", []string{"job"}},
	{"streamql_job_gap_offsets_total", counter, "offsets that were gone and, as ON GAP SKIP asks, left out", []string{"job"}},
	{"streamql_job_written_records_total", counter, "records committed to topics, dead letters included", []string{"job"}},
	{"streamql_job_written_bytes_total", counter, "bytes of the keys and values of these records", []string{"job"}},
	{"streamql_job_commits_total", counter, "commits", []string{"job"}},
	{"streamql_job_commit_seconds_total", counter, "seconds that all commits took", []string{"job"}},
	{"streamql_job_recoveries_total", counter, "times that the job went on from what is durable", []string{"job"}},
	{"streamql_job_restarts_total", counter, "times that the job was restarted after an error", []string{"job"}},
	{"streamql_job_lag_records", gauge, "offsets between the committed position and the end of a partition that a task here reads", []string{"job", "topic", "partition"}},
	{"streamql_job_tasks", gauge, "tasks that run here", []string{"job"}},
	{"streamql_job_memory_bytes", gauge, "bytes that the job has taken of its quota", []string{"job"}},
	{"streamql_job_state_bytes", gauge, "bytes of the state of the tasks here, in memory and on disk", []string{"job", "where"}},
	{"streamql_job_restore_records", gauge, "changelog records that the last replay of a task here has brought", []string{"job", "task"}},
	{"streamql_job_restore_left", gauge, "changelog offsets that this replay has not come to yet", []string{"job", "task"}},
	{"streamql_model_versions", gauge, "versions of the model", []string{"model"}},
	{"streamql_model_serving_version", gauge, "number of the version that answers by default; 0: none", []string{"model"}},
	{"streamql_query_total", counter, "queries begun", nil},
	{"streamql_query_active", gauge, "queries that run", nil},
	{"streamql_query_memory_bytes", gauge, "bytes that the running queries have taken of their quotas", nil},
	{"streamql_catalog_entries_total", counter, "entries of the catalog log that were applied", nil},
	{"streamql_catalog_broken", gauge, "entries of the catalog log that this version cannot read", nil},
	{"streamql_broker_trouble", gauge, "1 while a broker does not answer", nil},
	{"streamql_topic_bytes", gauge, "bytes of the engine's own topics on the brokers' disks, all copies", []string{"topic"}},
	{"streamql_goroutines", gauge, "goroutines of the process", nil},
	{"streamql_heap_bytes", gauge, "bytes of the objects on the process's heap", nil},
}

// Board gathers metrics. The zero value is empty.
type Board struct{ byName map[string][]Metric }

// Add adds a value of a measure, with a value for each of its labels.
func (b *Board) Add(name string, value float64, labels ...string) {
	if b.byName == nil {
		b.byName = map[string][]Metric{}
	}
	for i := range Measures {
		d := &Measures[i]
		if d.Name != name {
			continue
		}
		m := Metric{Name: name, Kind: d.Kind, Help: d.Help, Value: value, Labels: make([]Label, len(d.Labels))}
		for k, l := range d.Labels {
			m.Labels[k] = Label{l, labels[k]}
		}
		b.byName[name] = append(b.byName[name], m)
		return
	}
	panic("inspect: there is no measure " + name)
}

// Metrics lists what was added, in the order of Measures.
func (b *Board) Metrics() []Metric {
	var out []Metric
	for _, d := range Measures {
		out = append(out, b.byName[d.Name]...)
	}
	return out
}

var metricFields = []arrow.Field{
	flow.Field("name", flow.String), flow.Field("labels", flow.Map(flow.String, flow.String)), flow.Field("value", flow.Double),
	flow.Field("kind", flow.String), flow.Field("help", flow.String),
}

// MetricFields are the columns of streamql.metrics.
func MetricFields() []arrow.Field { return metricFields }

// MetricRows are the rows of streamql.metrics.
func MetricRows(list []Metric) *flow.Batch {
	rows := make([][]any, len(list))
	for i, m := range list {
		labels := make([]flow.Entry, len(m.Labels))
		for k, l := range m.Labels {
			labels[k] = flow.Entry{Key: l.Name, Value: l.Value}
		}
		rows[i] = []any{m.Name, labels, m.Value, m.Kind, m.Help}
	}
	return Batch(metricFields, rows)
}
