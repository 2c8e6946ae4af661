package http

import (
	"io"
	"log"
	nethttp "net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/streamql/streamql"
)

// process are the figures of the Go runtime and of the operating system. They are the same for all handlers of a process.
var process = func() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}()

// metrics answers with the figures of the engine and of its process, in the text format of Prometheus.
func (h *Handler) metrics(w nethttp.ResponseWriter, r *nethttp.Request) {
	if h.Metrics == nil {
		refuseAs(w, nethttp.StatusNotFound, bad("there are no metrics here", ""))
		return
	}
	now := prometheus.NewRegistry()
	now.MustRegister(figures(h.Metrics(r.Context())))
	o := promhttp.HandlerOpts{ErrorLog: log.New(io.Discard, "", 0), DisableCompression: true,
		ErrorHandling: promhttp.ContinueOnError} // one figure that cannot be shown costs no other
	promhttp.HandlerFor(prometheus.Gatherers{now, process}, o).ServeHTTP(w, r)
}

// figures are an engine's metrics as a collector. They are what they were when the request came.
type figures []streamql.Metric

// Describe implements prometheus.Collector. Which metrics there are depends on the jobs, so none is described.
func (f figures) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (f figures) Collect(to chan<- prometheus.Metric) {
	for _, m := range f {
		kind := prometheus.GaugeValue
		if m.Kind == "counter" {
			kind = prometheus.CounterValue
		}
		names, values := make([]string, len(m.Labels)), make([]string, len(m.Labels))
		for i, l := range m.Labels {
			names[i], values[i] = l.Name, strings.ToValidUTF8(l.Value, "\uFFFD")
		}
		made, err := prometheus.NewConstMetric(prometheus.NewDesc(m.Name, m.Help, names, nil), kind, m.Value, values...)
		if err != nil {
			made = prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		}
		to <- made
	}
}
