package http

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// Token is the hash of a bearer token; the token itself is not kept.
type Token [sha256.Size]byte

// Hash is the hash of a token.
func Hash(token string) Token { return sha256.Sum256([]byte(token)) }

// guard says who may ask.
type guard struct {
	token  Token // zero: nobody is asked for one
	failed atomic.Int32
}

// After five wrong tokens in a row each further one waits.
const (
	forgiven = 5
	penalty  = time.Second
)

// admit lets a request in or says why not. Without a token only loopback is listened to; there, what a web page of another host sends
// through a browser is refused: it comes from another site, or under a name that is not this machine's.
func (g *guard) admit(r *nethttp.Request) error {
	if g.token == (Token{}) {
		_, origin, page := strings.Cut(r.Header.Get("Origin"), "://")
		if err := nethttp.NewCrossOriginProtection().Check(r); err != nil || page && origin != r.Host {
			return forbidden("a page of another site asks")
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !loopback(strings.Trim(host, "[]")) {
			return forbidden("the request is for another host")
		}
		return nil
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash := Hash(given)
	if ok && subtle.ConstantTimeCompare(hash[:], g.token[:]) == 1 {
		g.failed.Store(0)
		return nil
	}
	if g.failed.Add(1) > forgiven {
		select {
		case <-time.After(penalty):
		case <-r.Context().Done():
		}
	}
	return &streamql.Error{Code: "SQ7102", Stage: lang.StageRun, Msg: "the bearer token is missing or wrong", Hint: "send Authorization: Bearer TOKEN"}
}

func forbidden(why string) error {
	return &streamql.Error{Code: "SQ7103", Stage: lang.StageRun, Msg: why + ", and no token is asked for here", Hint: "ask 127.0.0.1 or localhost, not through a page"}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
