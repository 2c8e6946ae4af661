package http

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	nethttp "net/http"
	"strings"
	"sync"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
)

// Token is the hash of a bearer token; the token itself is not stored.
type Token [sha256.Size]byte

// Hash returns the hash of a token.
func Hash(token string) Token { return sha256.Sum256([]byte(token)) }

// guard decides which requests are admitted, and with which role.
type guard struct {
	tokens map[streamql.Role]Token // none: no token is required
	now    func() time.Time

	mu    sync.Mutex
	wrong map[string]trials // failed attempts by client address; guarded by mu
}

// trials counts the wrong tokens of an address.
type trials struct {
	n    int       // consecutive
	next time.Time // when the next token is checked
}

// After five consecutive wrong tokens, one token per second of that address is checked. When
// too many addresses are recorded, all records are cleared.
const (
	forgiven  = 5
	penalty   = time.Second
	addresses = 4096
)

func newGuard(o Options) *guard {
	g := &guard{tokens: map[streamql.Role]Token{}, now: time.Now, wrong: map[string]trials{}}
	for role, t := range map[streamql.Role]Token{streamql.Reader: o.Reader, streamql.Writer: o.Writer,
		streamql.Admin: o.Token} {
		if t != (Token{}) {
			g.tokens[role] = t
		}
	}
	return g
}

// admit returns the role of a request, or the reason for its rejection. Without tokens, the
// server listens on loopback only. It then rejects requests that a web page of another host
// sends through a browser: they come from another site, or use a host name that is not this
// machine's.
func (g *guard) admit(r *nethttp.Request) (streamql.Role, error) {
	if g != nil && len(g.tokens) > 0 {
		return g.known(r)
	}
	_, origin, page := strings.Cut(r.Header.Get("Origin"), "://")
	if err := nethttp.NewCrossOriginProtection().Check(r); err != nil || page && origin != r.Host {
		return 0, forbidden("the request comes from a page of another site")
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !loopback(strings.Trim(host, "[]")) {
		return 0, forbidden("the request names another host")
	}
	return streamql.Admin, nil
}

// known returns the role of a token. After too many wrong tokens the token is not checked, so
// that parallel requests cannot try more of them.
func (g *guard) known(r *nethttp.Request) (role streamql.Role, err error) {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash := Hash(given)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.looks(address) {
		return 0, &streamql.Error{Code: "SQ7206", Stage: lang.StageRun,
			Msg: "too many wrong tokens have come from this address", Hint: "wait a second, then send the correct token"}
	}
	for as, t := range g.tokens {
		if subtle.ConstantTimeCompare(hash[:], t[:]) == 1 && ok {
			role = max(role, as)
		}
	}
	if role != 0 {
		delete(g.wrong, address)
		return role, nil
	}
	if len(g.wrong) >= addresses {
		clear(g.wrong)
	}
	t := g.wrong[address]
	t.n++
	g.wrong[address] = t
	return 0, &streamql.Error{Code: "SQ7102", Stage: lang.StageRun, Msg: "the bearer token is missing or wrong",
		Hint: "send Authorization: Bearer TOKEN"}
}

// looks reports whether a token of an address is checked now.
func (g *guard) looks(address string) bool {
	t := g.wrong[address]
	if t.n < forgiven {
		return true
	}
	now := g.now()
	if now.Before(t.next) {
		return false
	}
	t.next = now.Add(penalty)
	g.wrong[address] = t
	return true
}

func forbidden(why string) error {
	return &streamql.Error{Code: "SQ7103", Stage: lang.StageRun, Msg: why + ", and this server requires no token",
		Hint: "send the request to 127.0.0.1 or localhost, not from a web page"}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
