// Package kafka implements topic.Broker on an Apache Kafka cluster (2.5 or newer), using
// franz-go.
//
// All reads are read_committed. Record batches are decoded from the fetch response into columns
// without an object per record. Errors that a broker may recover from are retried here and
// nowhere else. An unknown outcome is a topic.ErrLost, after which the caller continues from
// its last commit.
package kafka

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config identifies a cluster and how to connect to it.
type Config struct {
	Brokers  []string // host:port
	ClientID string   // shown in the logs of brokers; default "streamql"
	// Name is the name of the application and the prefix of transactional ids. Processes that
	// share work have the same.
	Name string
	// Instance identifies this process among those of one Name, across restarts.
	Instance string
	// Durable declares that Instance will be used again after a restart. The process then keeps
	// its group memberships for the session timeout (static membership).
	Durable bool

	TLS  *tls.Config // nil: plain text
	SASL *SASL       // nil: none

	// Replication is the replication factor of new topics; -1 and 0: the cluster's default.
	Replication int16
	// RetentionMs is the retention of new topics if neither a statement nor their purpose
	// determines it; -1: no limit; 0: the cluster's default.
	RetentionMs int64

	// of members; defaults 30 s, 3 s (at most an 8th of the session), 60 s
	SessionTimeout, Heartbeat, RebalanceTimeout time.Duration
	TransactionTimeout                          time.Duration // default 10 s
	RetryTimeout                                time.Duration // how long a request is retried; default 60 s

	PollRecords int // maximum number of records per fetch; default 4,096
	Now         func() time.Time
	Dial        func(ctx context.Context, network, address string) (net.Conn, error) // for tests
	// additional options, for tests
	Options []kgo.Opt
}

// SASL is the login. Secrets are never printed.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	User      string
	Password  Secret
	Token     func(context.Context) (Secret, error) // OAUTHBEARER
}

// Secret is a text that is printed as ***.
type Secret string

// String returns ***.
func (Secret) String() string { return "***" }

// GoString returns ***.
func (Secret) GoString() string { return "***" }

// MarshalText returns ***.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
