package http

import (
	"net"
	nethttp "net/http"
	"net/http/pprof"
	"strings"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// profilePath is the prefix of the profile paths.
const profilePath = "/debug/pprof/"

// profile responds with a profile of the process. Profiles reveal memory contents and are
// expensive, so in addition to the checks of all requests they are restricted to this machine.
func (h *Handler) profile(w nethttp.ResponseWriter, r *nethttp.Request) {
	if !local(r) {
		refuse(w, &streamql.Error{Code: "SQ7103", Stage: lang.StageRun,
			Msg:  "profiles are available from this machine only",
			Hint: "listen at 127.0.0.1 and request them from there, e.g. over ssh -L"})
		return
	}
	if role, _ := r.Context().Value(roleKey{}).(streamql.Role); role != streamql.Admin {
		refuse(w, &streamql.Error{Code: "SQ7104", Stage: lang.StageRun, Msg: "profiles require the role of an admin",
			Hint: "send the admin's token"})
		return
	}
	switch strings.TrimPrefix(r.URL.Path, profilePath) {
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "cmdline": // a definition on the command line may be a secret
		refuseAs(w, nethttp.StatusNotFound, bad("there is no such profile", ""))
	default:
		pprof.Index(w, r)
	}
}

// local reports whether a request came from loopback to a loopback listener.
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
