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

// The SASL mechanisms.
const (
	mechanismPlain  = "PLAIN"
	mechanismSHA256 = "SCRAM-SHA-256"
	mechanismSHA512 = "SCRAM-SHA-512"
	mechanismBearer = "OAUTHBEARER"
)

// check rejects settings that cannot work or that would expose a secret.
func (c *Config) check() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka: no broker is named; set at least one as host:port")
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
		return fmt.Errorf(
			"kafka: unknown SASL mechanism %q; supported are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER",
			s.Mechanism,
		)
	}
	for _, b := range c.Brokers {
		if err := c.inClear(b); err != nil {
			return err
		}
	}
	return nil
}

// inClear rejects sending a password or token over an unencrypted connection. SCRAM does not
// send the password.
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
	return fmt.Errorf(
		"kafka %s: SASL %s without TLS would send the secret in clear text; enable TLS or use SCRAM-SHA-512",
		address,
		c.SASL.Mechanism,
	)
}

// mechanism returns nil if there is no login.
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

// dial connects to one broker, with TLS if it is configured.
func (c *Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := c.inClear(address); err != nil { // also checks brokers that are not in Config.Brokers
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

// refusedLogin reports whether a broker responded and refused the login.
func refusedLogin(err error) bool {
	for _, e := range []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unauthorized reports whether a broker accepted the login but refused the operation.
func unauthorized(err error) bool {
	for _, e := range []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
