package http_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/peer"
	"github.com/streamql/streamql/server/http"
)

// certificate returns a self-signed certificate for loopback.
func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestAddresses: without TLS and a token, only loopback is allowed.
func TestAddresses(t *testing.T) {
	cert, _ := certificate(t)
	for _, c := range []struct {
		address string
		cert    *tls.Certificate
		token   http.Token
		code    string
	}{
		{"127.0.0.1:0", nil, http.Token{}, ""}, {"localhost:0", nil, http.Token{}, ""}, {"127.0.0.1:0", nil,
			http.Hash(token), ""},
		{"0.0.0.0:0", cert, http.Hash(token), ""},
		{":0", nil, http.Token{}, "SQ7101"}, {"0.0.0.0:0", nil, http.Token{}, "SQ7101"}, {"[::]:0", nil, http.Token{},
			"SQ7101"}, {"192.0.2.1:0", nil, http.Token{}, "SQ7101"},
		{"0.0.0.0:0", cert, http.Token{}, "SQ7101"}, {"0.0.0.0:0", nil, http.Hash(token), "SQ7101"}, {"example.com:0", nil,
			http.Token{}, "SQ7101"},
		{"8088", nil, http.Token{}, "SQ7101"}, {"127.0.0.1:99999", nil, http.Token{}, "SQ5003"},
	} {
		s, err := http.Listen(http.Options{Address: c.address, Certificate: c.cert, Token: c.token}, &http.Handler{})
		var e *streamql.Error
		if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &e) || e.Code != c.code) {
			t.Errorf("%s: got %v, want %q", c.address, err, c.code)
		}
		if s != nil {
			s.Close()
		}
	}
}

func TestToken(t *testing.T) {
	s, _ := started(t, func(o *http.Options, _ *http.Handler) { o.Token = http.Hash(token) })
	for _, c := range []struct {
		path, header string
		status       int
	}{
		{"/v1/jobs", "Bearer " + token, 200}, {"/v1/jobs", "", 401}, {"/v1/jobs", "Bearer x", 401},
		{"/v1/jobs", "Basic " + token, 401}, {"/v1/jobs", token, 401},
		{"/healthz", "", 200}, {"/readyz", "", 200},
	} {
		got := ask(t, context.Background(), s, nethttp.MethodGet, c.path, "", "Authorization", c.header)
		raw, _ := io.ReadAll(got.Body)
		got.Body.Close()
		if got.StatusCode != c.status || strings.Contains(string(raw), token) || c.status == 401 &&
			got.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s with %q: %d, want %d: %s", c.path, c.header, got.StatusCode, c.status, raw)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", http.Options{Token: http.Hash(token)},
		http.Options{Token: http.Hash(token)}, http.Hash(token), s.URL()); strings.Contains(shown, token) {
		t.Errorf("the token is shown: %s", shown)
	}
}

// TestBrowserPages sends the requests that a page of another site makes a browser send.
func TestBrowserPages(t *testing.T) {
	s, _ := started(t)
	for _, headers := range [][]string{{"Origin", "https://example.com"}, {"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"}, {"Host", "example.com"}, {"Host", "example.com:8088"}} {
		status, text, _ := post(t, s, "/v1/exec", sql("DROP TABLE sums;"), headers...)
		if status != 403 || !strings.Contains(text, `"SQ7103"`) {
			t.Errorf("%v: %d %s", headers, status, text)
		}
	}
	for _, headers := range [][]string{{"Origin", s.URL()}, {"Host", "localhost:1"}, {"Host", "[::1]:8088"},
		{"Sec-Fetch-Site", "same-origin"}} {
		if status, text, _ := post(t, s, "/v1/query", sql("SELECT 1 AS one;"), headers...); status != 200 {
			t.Errorf("%v: %d %s", headers, status, text)
		}
	}
}

// TestStopping closes the server during a push query.
func TestStopping(t *testing.T) {
	s, _ := started(t)
	got := ask(t, context.Background(), s, nethttp.MethodPost, "/v1/query", sql("SELECT * FROM s EMIT CHANGES;"))
	defer got.Body.Close()
	begun := time.Now()
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	raw, err := io.ReadAll(got.Body)
	if err == nil || !strings.Contains(string(raw), `{"_error":{"code":"SQ7205"`) {
		t.Errorf("%v, %s", err, raw)
	}
	if err := <-done; err != nil || time.Since(begun) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

// TestPeer: one process queries another, over TLS with a token.
func TestPeer(t *testing.T) {
	cert, pool := certificate(t)
	nethttp.DefaultClient.Transport = &nethttp.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer func() { nethttp.DefaultClient.CloseIdleConnections(); nethttp.DefaultClient.Transport = nil }()
	var asked []context.Context
	s, _ := started(t, func(o *http.Options, h *http.Handler) {
		o.Certificate, o.Token = cert, http.Hash(token)
		inner := h.Query
		h.Query = func(ctx context.Context, q peer.Request) (*streamql.Rows, error) {
			asked = append(asked, ctx)
			return inner(ctx, q)
		}
	})
	asked = nil
	c := &peer.Client{HTTP: nethttp.DefaultClient, TLS: true,
		Authorize: func(r *nethttp.Request) { r.Header.Set("Authorization", "Bearer "+token) }}
	address := strings.TrimPrefix(s.URL(), "https://")
	a, err := c.Query(context.Background(), address, "SELECT id, total FROM sums WHERE total > $1;", []int32{0}, 5)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for b, err := range a.Batches() {
		if err != nil {
			t.Fatal(err)
		}
		n += b.NumRows()
	}
	if n != 1 || a.Schema.Field(1).Name != "total" || len(asked) != 1 || asked[0] == nil {
		t.Errorf("%d rows, %v, request %v", n, a.Schema, asked)
	}
	var e *lang.Error
	if _, err := c.Query(context.Background(), address, "SELECT nope FROM sums;", nil); !errors.As(err, &e) ||
		e.Code != "SQ2003" || e.Pos.Col != 8 || len(asked) != 2 {
		t.Errorf("an error of the peer: %v, request %v", err, asked)
	}
	if _, err := (&peer.Client{HTTP: nethttp.DefaultClient, TLS: true}).Query(context.Background(), address, "SELECT 1;",
		[]int32{0}); !errors.As(err, &e) || e.Code != "SQ7102" {
		t.Errorf("without a token: %v", err)
	}
	if _, err := (&peer.Client{}).Query(context.Background(), "127.0.0.1:1", "SELECT 1;", []int32{0}); err == nil ||
		!strings.Contains(err.Error(), "query 127.0.0.1:1") {
		t.Errorf("without a server: %v", err)
	}
	live, err := c.Query(context.Background(), address, "SELECT v FROM s SINCE EARLIEST EMIT CHANGES;", []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	go s.Close()
	for _, err = range live.Batches() {
		if err != nil {
			break
		}
	}
	if err == nil {
		t.Error("an answer that breaks off ends well")
	}
}
