package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/kafka"
)

// cluster returns the options that open the engine on the cluster of --brokers; none without the flag.
func (w *world) cluster() ([]streamql.Option, error) {
	if w.Brokers == "" {
		return nil, nil
	}
	c, err := w.kafka()
	if err != nil {
		return nil, err
	}
	if c.TLS != nil && c.TLS.InsecureSkipVerify && !w.Quiet {
		fmt.Fprintln(os.Stderr, "warning: kafka.insecure = true: the brokers' certificates are not verified")
	}
	opts := []streamql.Option{streamql.WithKafka(c), streamql.WithStandbys(w.Standbys)}
	// with port 0 the address is not known yet and cannot be published to other processes (SQ7304)
	if !strings.HasSuffix(w.HTTP, ":0") {
		opts = append(opts, streamql.WithAddress(w.HTTP))
	}
	peers, err := w.peers()
	if err != nil {
		return nil, err
	}
	opts = append(opts, streamql.WithPeers(peers))
	if w.Debug {
		opts = append(opts, streamql.WithAssignments(func(job string, a topic.Assignment) {
			fmt.Fprintf(os.Stderr, "debug: job %s, epoch %d: tasks %v\n", job, a.Epoch, a.Tasks)
		}))
	}
	if w.StateMemory > 0 {
		opts = append(opts, streamql.WithStateMemory(int64(w.StateMemory)))
	}
	if w.Snapshots != "" {
		place, err := state.Directory(w.Snapshots)
		if err != nil {
			return nil, usage(fmt.Errorf("--snapshots: %w", plainPath(err)))
		}
		opts = append(opts, streamql.WithSnapshots(place, snapshotsEvery))
	}
	return opts, nil
}

// visitor returns the options for commands that do not run the cluster's jobs, unless --work is set.
func (w *world) visitor() []streamql.Option {
	if w.Brokers == "" || w.Work {
		return nil
	}
	return []streamql.Option{streamql.WithoutJobs()}
}

// snapshotsEvery is the interval between two snapshots of a task.
const snapshotsEvery = 10 * time.Minute

var applicationName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`)

// kafka returns the cluster's configuration from the flags and files. Secrets and certificates are read now,
// an OAuth token at each login. Errors are SQ1101 with the position of the wrong key, if it is in a file.
func (g *global) kafka() (kafka.Config, error) {
	out := kafka.Config{Name: g.Name}
	for _, host := range strings.Split(g.Brokers, ",") {
		address, err := broker(strings.TrimSpace(host))
		if err != nil {
			return out, usage(fmt.Errorf("--brokers: %w", err))
		}
		out.Brokers = append(out.Brokers, address)
	}
	if !applicationName.MatchString(g.Name) || strings.Trim(g.Name, ".") == "" {
		return out, usage(fmt.Errorf("--name must consist of up to 100 letters, digits, dots, - and _, not %q", g.Name))
	}
	r := reading{config: g.files.config}
	out.TLS = r.tls()
	out.SASL = r.sasl()
	if n := r.number("kafka.replication", -1, 32767); n != 0 {
		out.Replication = int16(n)
	}
	out.RetentionMs = r.number("kafka.retention_ms", -1, math.MaxInt64)
	out.SessionTimeout = r.duration("kafka.session_timeout", time.Second, 30*time.Minute)
	out.TransactionTimeout = r.duration("kafka.transaction_timeout", time.Second, 15*time.Minute)
	if r.err == nil && out.SASL != nil && out.TLS == nil {
		r.exposed(out)
	}
	return out, r.err
}

// broker returns an address of the list, with Kafka's default port if it has none.
func broker(host string) (string, error) {
	if host == "" {
		return "", fmt.Errorf("an address is empty; write HOST:PORT,HOST:PORT")
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "9092"
		if strings.Contains(name, ":") && net.ParseIP(name) == nil {
			return "", fmt.Errorf("%q is not HOST:PORT", host)
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || name == "" || strings.ContainsAny(name, "/@ ") {
		return "", fmt.Errorf("%q is not HOST:PORT", host)
	}
	return net.JoinHostPort(name, port), nil
}

// exposed rejects a password or token that would cross the network in plain text.
func (r *reading) exposed(c kafka.Config) {
	if c.SASL.Mechanism != "PLAIN" && c.SASL.Mechanism != "OAUTHBEARER" {
		return
	}
	for _, b := range c.Brokers {
		if host, _, _ := net.SplitHostPort(b); !loopback(host) {
			r.fail("kafka.sasl_mechanism", "kafka.tls = true, or a SCRAM mechanism",
				"%s without TLS would send the secret in plain text to %s", c.SASL.Mechanism, host)
			return
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tls returns the TLS configuration for brokers; nil: plain text.
func (r *reading) tls() *tls.Config {
	if !r.truth("kafka.tls") {
		for _, key := range []string{"ca_file", "cert_file", "key_file", "server_name", "insecure"} {
			if s, ok := r.config["kafka."+key]; ok && s.value != false {
				r.fail("kafka."+key, "write tls = true in [kafka], or leave it out", "kafka.%s requires TLS, which is off", key)
			}
		}
		return nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.text("kafka.server_name"),
		InsecureSkipVerify: r.truth("kafka.insecure")}
	if path := r.path("kafka.ca_file"); path != "" {
		pem, err := os.ReadFile(path)
		out.RootCAs = x509.NewCertPool()
		if err != nil {
			r.fail("kafka.ca_file", "name a file of PEM certificates", "kafka.ca_file: %v", plainPath(err))
		} else if !out.RootCAs.AppendCertsFromPEM(pem) {
			r.fail("kafka.ca_file", "a PEM certificate begins with -----BEGIN CERTIFICATE-----",
				"kafka.ca_file: %s contains no PEM certificate", path)
		}
	}
	if pair := r.pair("kafka"); pair != nil {
		out.Certificates = []tls.Certificate{*pair}
	}
	return out
}

// pair returns the certificate and key of a table; nil if it names neither.
func (r *reading) pair(table string) *tls.Certificate {
	cert, key := r.path(table+".cert_file"), r.path(table+".key_file")
	if cert == "" && key == "" || r.err != nil {
		return nil
	}
	if cert == "" || key == "" {
		r.fail(table+map[bool]string{true: ".key_file", false: ".cert_file"}[cert == ""], "name both",
			"[%s] needs both cert_file and key_file", table)
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		r.fail(table+".cert_file", "both must be PEM files, and the key must be the certificate's and not encrypted",
			"cert_file and key_file of [%s]: %v", table, plainPath(err))
		return nil
	}
	return &pair
}

var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}

// sasl returns the login configuration; nil: no login.
func (r *reading) sasl() *kafka.SASL {
	mechanism := strings.ToUpper(r.text("kafka.sasl_mechanism"))
	if mechanism == "" {
		for _, key := range []string{"sasl_user", "sasl_password", "oauth_token"} {
			if _, ok := r.config["kafka."+key]; ok {
				r.fail("kafka."+key, "write sasl_mechanism in [kafka]: "+strings.Join(mechanisms, ", "),
					"kafka.%s requires a sasl_mechanism", key)
			}
		}
		return nil
	}
	if !slices.Contains(mechanisms, mechanism) {
		hint := "the mechanisms are " + strings.Join(mechanisms, ", ")
		if near := lang.Suggest(mechanism, mechanisms); near != "" {
			hint = "did you mean " + near + "?"
		}
		r.fail("kafka.sasl_mechanism", hint, "unknown sasl_mechanism")
		return nil
	}
	out := &kafka.SASL{Mechanism: mechanism, User: r.text("kafka.sasl_user")}
	if mechanism == "OAUTHBEARER" {
		token := r.reference("kafka.oauth_token")
		if token.at == "" {
			r.fail("kafka.sasl_mechanism", `write oauth_token = "file:PATH" in [kafka]`, "OAUTHBEARER requires an oauth_token")
			return nil
		}
		out.Token = func(context.Context) (kafka.Secret, error) { return token.read() }
		return out
	}
	password := r.reference("kafka.sasl_password")
	if out.User == "" || password.at == "" {
		r.fail("kafka.sasl_mechanism", `write sasl_user and sasl_password = "env:NAME" in [kafka]`,
			"%s requires a sasl_user and a sasl_password", mechanism)
		return nil
	}
	var err error
	if out.Password, err = password.read(); err != nil && r.err == nil {
		r.err = err
	}
	return out
}
