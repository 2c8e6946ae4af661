package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const canary = "canary-7c1"

func TestLogins(t *testing.T) {
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		fake := newFake(t, kfake.EnableSASL(), kfake.Superuser(m, "ann", canary))
		for _, password := range []string{canary, canary + "-wrong"} {
			b, err := Open(
				t.Context(),
				Config{
					Brokers: fake.ListenAddrs(),
					SASL:    &SASL{Mechanism: m, User: "ann", Password: Secret(password)},
				},
			)
			if password == canary {
				if err != nil {
					t.Fatalf("%s: %v", m, err)
				}
				if _, err := b.Topics(t.Context()); err != nil {
					t.Errorf("%s: %v", m, err)
				}
				b.Close()
				continue
			}
			if err == nil || !strings.Contains(err.Error(), "closed during the login") {
				// kfake does not respond
				t.Errorf("%s: %v", m, err)
			}
			fake.ControlKey(36, func(req kmsg.Request) (kmsg.Response, error, bool) {
				fake.KeepControl()
				resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
				resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
				return resp, nil, true
			})
			_, err = Open(
				t.Context(),
				Config{
					Brokers: fake.ListenAddrs(),
					SASL:    &SASL{Mechanism: m, User: "ann", Password: Secret(password)},
				},
			)
			if err == nil || errors.Is(err, topic.ErrUnreachable) ||
				!strings.Contains(err.Error(), `login of user "ann" was refused`) {
				t.Errorf("%s: %v", m, err)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), canary) {
				t.Errorf("%s: the error shows the secret: %v", m, err)
			}
		}
	}
}

func TestSecretsInClear(t *testing.T) {
	token := func(context.Context) (Secret, error) { return canary, nil }
	for _, c := range []struct {
		host string
		sasl SASL
		tls  *tls.Config
		want string
	}{
		{"10.0.0.1:9092", SASL{Mechanism: "PLAIN", User: "u", Password: canary}, nil, "without TLS"},
		{"kafka.example:9092", SASL{Mechanism: "OAUTHBEARER", Token: token}, nil, "without TLS"},
		{"[::1]:9", SASL{Mechanism: "PLAIN", User: "u", Password: canary}, nil, ""},
		{"localhost:9", SASL{Mechanism: "PLAIN", User: "u", Password: canary}, nil, ""},
		{"10.0.0.1:9092", SASL{Mechanism: "PLAIN", User: "u", Password: canary}, &tls.Config{}, ""},
		{"10.0.0.1:9092", SASL{Mechanism: "SCRAM-SHA-512", User: "u", Password: canary}, nil, ""},
		{"localhost:9", SASL{Mechanism: "GSSAPI"}, nil, "GSSAPI"},
		{"localhost:9", SASL{Mechanism: "PLAIN"}, nil, "user"},
		{"localhost:9", SASL{Mechanism: "OAUTHBEARER"}, nil, "token"},
	} {
		config := Config{Brokers: []string{c.host}, SASL: &c.sasl, TLS: c.tls}
		err := config.check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: %v", c.host, c.sasl.Mechanism, err)
		}
		if shown := fmt.Sprintf("%v %+v %#v %v", config, c.sasl, c.sasl, err); strings.Contains(shown, canary) {
			t.Errorf("the secret shows: %s", shown)
		}
	}
}

// authority creates certificates for the loopback address, one of them self-signed.
func authority(t *testing.T) (pool *x509.CertPool, server, client tls.Certificate) {
	t.Helper()
	make := func(serial int64, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, tls.Certificate) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: fmt.Sprint("c", serial)},
			NotBefore: time.Now().
				Add(-time.Hour),
			NotAfter:    time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if parent == nil {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
			parent, by = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		c, err = x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	ca, key, _ := make(1, nil, nil)
	_, _, server = make(2, ca, key)
	_, _, client = make(3, ca, key)
	pool = x509.NewCertPool()
	pool.AddCert(ca)
	return pool, server, client
}

func TestTLS(t *testing.T) {
	pool, server, client := authority(t)
	fake := newFake(
		t,
		kfake.TLS(
			&tls.Config{
				Certificates: []tls.Certificate{server},
				ClientCAs:    pool,
				ClientAuth:   tls.RequireAndVerifyClientCert,
			},
		),
	)
	b, err := Open(
		t.Context(),
		Config{Brokers: fake.ListenAddrs(), TLS: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Topics(t.Context()); err != nil {
		t.Error(err)
	}
	b.Close()
	for what, c := range map[string]*tls.Config{"no trust": {Certificates: []tls.Certificate{client}}, "no certificate": {RootCAs: pool}, "no TLS": nil} {
		if b, err := Open(t.Context(), Config{Brokers: fake.ListenAddrs(), TLS: c}); err == nil {
			b.Close()
			t.Errorf("%s: it connected", what)
		} else if !errors.Is(err, topic.ErrUnreachable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestForbidden(t *testing.T) {
	c := needFake(t, func(c *Config) { c.SASL = &SASL{Mechanism: "SCRAM-SHA-256", User: "root", Password: "r"} },
		kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-256", "root", "r"),
		kfake.User("SCRAM-SHA-256", "bob", "b", kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "seen",
			Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationDescribe, Allow: true}))
	for _, name := range []string{"seen", "hidden"} {
		if err := c.Create(t.Context(), name, topic.Config{Partitions: 1, RetentionMs: -1}); err != nil {
			t.Fatal(err)
		}
	}
	b := c.open(func(c *Config) { c.SASL = &SASL{Mechanism: "SCRAM-SHA-256", User: "bob", Password: "b"} })
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, topic.ErrRefused) || !strings.Contains(err.Error(), `user "bob" is not allowed to `+what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := b.Describe(t.Context(), "hidden")
	refused(`describe topic "hidden"`, err)
	refused(`create topic "mine"`, b.Create(t.Context(), "mine", topic.Config{Partitions: 1, RetentionMs: -1}))
	refused(`delete topic "seen"`, b.Delete(t.Context(), "seen"))
	_, err = b.Sizes(t.Context(), "seen")
	refused("query the sizes of topics", err)
	r, err := b.Open(t.Context(), []topic.Span{whole(topic.Partition{Topic: "seen"}, topic.End)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Poll(t.Context())
	refused(`read topic "seen"`, err)
	if all, err := b.Topics(t.Context()); err != nil || len(all) != 1 || all[0].Name != "seen" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := l.Addr().String() // accepts connections but never responds
	defer l.Close()
	free, _ := net.Listen("tcp", "127.0.0.1:0")
	dead := free.Addr().String()
	free.Close()
	_, err = Open(t.Context(), Config{Brokers: []string{dead, silent}})
	if !errors.Is(err, topic.ErrUnreachable) || !strings.Contains(err.Error(), dead) ||
		!strings.Contains(err.Error(), silent) {
		t.Errorf("%v", err)
	}
	c := newCluster(t, nil)
	b, err := Open(t.Context(), Config{Brokers: append([]string{dead, silent}, c.brokers...)})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("no broker was named")
	}
}

func TestTooOld(t *testing.T) {
	fake := newFake(t, kfake.MaxVersions(kversion.V2_4_0()))
	if _, err := Open(t.Context(), Config{Brokers: fake.ListenAddrs()}); !errors.Is(err, errTooOld) {
		t.Errorf("%v", err)
	}
}

// TestOldest: clusters of version 2.5 have no topic ids, so topics are read by name.
func TestOldest(t *testing.T) {
	c := needFake(t, nil, kfake.MaxVersions(kversion.V2_5_0()))
	p := topic.Partition{Topic: c.topic(1, false)}
	write(t, c.producer(), p, 0, 10)
	same(t, values(c.read(c.Broker, c.spans(p.Topic))), numbers(0, 10))
}
