package http

import (
	"net"
	nethttp "net/http"
	"net/http/pprof"
	"strings"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// profilePath begins the paths of profiles.
const profilePath = "/debug/pprof/"

// profile answers with a profile of the process. A profile shows what is in memory and costs time to make, so beside what every request
// must show, it is for this machine only.
func (h *Handler) profile(w nethttp.ResponseWriter, r *nethttp.Request) {
	if !local(r) {
		refuse(w, &streamql.Error{Code: "SQ7103", Stage: lang.StageRun, Msg: "profiles are for this machine only", Hint: "listen at 127.0.0.1 and ask from there, e.g. over ssh -L"})
		return
	}
	switch strings.TrimPrefix(r.URL.Path, profilePath) {
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "cmdline": // a definition given with -d may be a secret
		refuseAs(w, nethttp.StatusNotFound, bad("there is no such profile", ""))
	default:
		pprof.Index(w, r)
	}
}

// local reports whether a request has come from loopback to a listener at loopback.
func local(r *nethttp.Request) bool {
	at, ok := r.Context().Value(nethttp.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	for _, address := range []string{at.String(), r.RemoteAddr} {
		host, _, err := net.SplitHostPort(address)
		if err != nil || !loopback(host) {
			return false
		}
	}
	return true
}
