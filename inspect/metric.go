package inspect

import (
	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
)

// Metric is one figure of a process: the value of a measure for one combination of labels.
type Metric struct {
	Name   string
	Kind   string // "counter", which only increases while the process runs, or "gauge"
	Help   string
	Labels []Label // in the order of Measure.Labels
	Value  float64
}

// Label identifies the object that a metric describes, such as a job or a topic.
type Label struct{ Name, Value string }

// Measure describes the metrics of one name. Labels has the names of their labels.
type Measure struct {
	Name, Kind, Help string
	Labels           []string
}

const (
	counter = "counter"
	gauge   = "gauge"
)

// Measures lists all measures of an engine. The counters of a job start at 0 with the process and count the tasks that
// it runs. The total of a job is the sum over all processes.
var Measures = []Measure{
	{"streamql_job_state", gauge, "1 for the present state of the job in this process, 0 for the other states",
		[]string{"job", "state"}},
	{"streamql_job_rows_total", counter, "rows read, including those that were read again after a recovery",
		[]string{"job"}},
	{"streamql_job_late_rows_total", counter, "late rows, whose window had closed when they arrived", []string{"job"}},
	{"streamql_job_dead_letters_total", counter, "records that could not be decoded", []string{"job"}},
	{"streamql_job_gap_offsets_total", counter,
		"offsets that no longer existed and were skipped because of ON GAP SKIP", []string{"job"}},
	{"streamql_job_written_records_total", counter, "records committed to topics, including dead letters",
		[]string{"job"}},
	{"streamql_job_written_bytes_total", counter, "bytes of the keys and values of the committed records",
		[]string{"job"}},
	{"streamql_job_commits_total", counter, "commits", []string{"job"}},
	{"streamql_job_commit_seconds_total", counter, "total duration of the commits in seconds", []string{"job"}},
	{"streamql_job_recoveries_total", counter, "recoveries of the job from its last commit", []string{"job"}},
	{"streamql_job_restarts_total", counter, "restarts of the job after an error", []string{"job"}},
	{"streamql_job_lag_records", gauge,
		"offsets between the committed position and the end of a partition that a task in this process reads",
		[]string{"job", "topic", "partition"}},
	{"streamql_job_tasks", gauge, "tasks that run in this process", []string{"job"}},
	{"streamql_job_memory_bytes", gauge, "bytes of its memory quota that the job uses", []string{"job"}},
	{"streamql_job_state_bytes", gauge, "bytes of the state of the tasks in this process, in memory and on disk",
		[]string{"job", "where"}},
	{"streamql_job_restore_records", gauge,
		"changelog records that the last replay of a task in this process has read", []string{"job", "task"}},
	{"streamql_job_restore_left", gauge, "changelog offsets that the replay has still to read", []string{"job", "task"}},
	{"streamql_model_versions", gauge, "versions of the model", []string{"model"}},
	{"streamql_model_serving_version", gauge, "number of the version that predictions use by default; 0: none",
		[]string{"model"}},
	{"streamql_query_total", counter, "queries started", nil},
	{"streamql_query_active", gauge, "queries that are running", nil},
	{"streamql_query_memory_bytes", gauge, "bytes of their memory quotas that the running queries use", nil},
	{"streamql_catalog_entries_total", counter, "entries of the catalog log that this process has applied", nil},
	{"streamql_catalog_broken", gauge, "entries of the catalog log that this version cannot read", nil},
	{"streamql_broker_trouble", gauge, "1 while a broker does not respond", nil},
	{"streamql_topic_bytes", gauge, "bytes of the engine's own topics on the brokers' disks, over all replicas",
		[]string{"topic"}},
	{"streamql_goroutines", gauge, "goroutines of the process", nil},
	{"streamql_heap_bytes", gauge, "bytes of the objects on the heap of the process", nil},
}

// Board collects metrics. The zero value is an empty board. It is not safe for concurrent use.
type Board struct{ byName map[string][]Metric }

// Add adds a value of the named measure. labels has one value for each label of the measure. Add panics if the measure
// does not exist.
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

// Metrics returns the added metrics in the order of Measures.
func (b *Board) Metrics() []Metric {
	var out []Metric
	for _, d := range Measures {
		out = append(out, b.byName[d.Name]...)
	}
	return out
}

var metricFields = []arrow.Field{
	flow.Field("name", flow.String), flow.Field("labels", flow.Map(flow.String, flow.String)),
	flow.Field("value", flow.Double),
	flow.Field("kind", flow.String), flow.Field("help", flow.String),
}

// MetricFields returns the columns of streamql.metrics.
func MetricFields() []arrow.Field { return metricFields }

// MetricRows returns the rows of streamql.metrics.
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
