package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const dialTimeout = 4 * time.Second

// The mechanisms of SASL.
const (
	mechanismPlain  = "PLAIN"
	mechanismSHA256 = "SCRAM-SHA-256"
	mechanismSHA512 = "SCRAM-SHA-512"
	mechanismBearer = "OAUTHBEARER"
)

// check refuses settings that cannot work or would give a secret away.
func (c *Config) check() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka: no broker is named; give at least one as host:port")
	}
	s := c.SASL
	if s == nil {
		return nil
	}
	switch s.Mechanism {
	case mechanismBearer:
		if s.Token == nil {
			return errors.New("kafka: OAUTHBEARER needs a source of tokens")
		}
	case mechanismPlain, mechanismSHA256, mechanismSHA512:
		if s.User == "" {
			return fmt.Errorf("kafka: %s needs a user", s.Mechanism)
		}
	default:
		return fmt.Errorf("kafka: the SASL mechanism %q is not known; there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER", s.Mechanism)
	}
	for _, b := range c.Brokers {
		if err := c.inClear(b); err != nil {
			return err
		}
	}
	return nil
}

// inClear refuses to send a password or token that anybody on the way could read. SCRAM does not send the password.
func (c *Config) inClear(address string) error {
	if c.TLS != nil || c.SASL == nil || c.SASL.Mechanism != mechanismPlain && c.SASL.Mechanism != mechanismBearer {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("kafka %s: SASL %s without TLS would send the secret readably over the network; turn on TLS or use SCRAM-SHA-512",
		address, c.SASL.Mechanism)
}

// mechanism is nil without a login.
func (s *SASL) mechanism() sasl.Mechanism {
	if s == nil {
		return nil
	}
	switch s.Mechanism {
	case mechanismPlain:
		return plain.Auth{User: s.User, Pass: string(s.Password)}.AsMechanism()
	case mechanismSHA256:
		return scram.Auth{User: s.User, Pass: string(s.Password)}.AsSha256Mechanism()
	case mechanismSHA512:
		return scram.Auth{User: s.User, Pass: string(s.Password)}.AsSha512Mechanism()
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, err := s.Token(ctx)
		return oauth.Auth{Token: string(token)}, err
	})
}

// dial connects to one broker, by TLS where that is set.
func (c *Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := c.inClear(address); err != nil { // brokers that the first ones named
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil || c.TLS == nil {
		return conn, err
	}
	settings := c.TLS.Clone()
	if settings.ServerName == "" {
		settings.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", address, err)
	}
	return secure, nil
}

// refusedLogin reports whether a broker answered and did not let us in.
func refusedLogin(err error) bool {
	for _, e := range []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unauthorized reports whether a broker knows us and refuses the right that something needs.
func unauthorized(err error) bool {
	for _, e := range []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
