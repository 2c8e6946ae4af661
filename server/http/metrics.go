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

// process contains the metrics of the Go runtime and of the operating system. All handlers of a
// process share them.
var process = func() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}()

// metrics responds with the metrics of the engine and of the process, in Prometheus' text
// format.
func (h *Handler) metrics(w nethttp.ResponseWriter, r *nethttp.Request) {
	if h.Metrics == nil {
		refuseAs(w, nethttp.StatusNotFound, bad("this server has no metrics", ""))
		return
	}
	now := prometheus.NewRegistry()
	now.MustRegister(figures(h.Metrics(r.Context())))
	o := promhttp.HandlerOpts{ErrorLog: log.New(io.Discard, "", 0), DisableCompression: true,
		ErrorHandling: promhttp.ContinueOnError} // a metric that cannot be shown does not affect the others
	promhttp.HandlerFor(prometheus.Gatherers{now, process}, o).ServeHTTP(w, r)
}

// figures is a collector of an engine's metrics as of the request.
type figures []streamql.Metric

// Describe implements prometheus.Collector. The set of metrics depends on the jobs, so none is
// described.
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
