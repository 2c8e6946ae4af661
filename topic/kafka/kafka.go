// Package kafka is a topic.Broker over an Apache Kafka cluster (2.5 or newer), by franz-go.
//
// Reads are read_committed everywhere. Record batches go from the fetch response into columns without an object per record. What a broker
// may heal is retried here and nowhere else; everything whose outcome is unknown is topic.ErrLost, and the caller begins again from what
// is durable.
package kafka

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says which cluster, and how to reach it.
type Config struct {
	Brokers  []string // host:port
	ClientID string   // what broker logs show; default "streamql"
	// Name is the application's: the prefix of transactional ids. Processes that share work have the same.
	Name string
	// Instance tells this process from the others of one Name, over restarts.
	Instance string
	// Durable says that Instance comes back after a restart: then the process keeps its place in groups for the session's timeout.
	Durable bool

	TLS  *tls.Config // nil: plain text
	SASL *SASL       // nil: none

	// Replication is that of topics that are made; -1 (and 0): the cluster's default.
	Replication int16
	// RetentionMs is how long topics that are made keep their records when neither a statement nor their use says it; -1: for ever; 0: the
	// cluster's default.
	RetentionMs int64

	SessionTimeout, Heartbeat, RebalanceTimeout time.Duration // of members; defaults 30 s, 3 s (at most an 8th of the session), 60 s
	TransactionTimeout                          time.Duration // default 10 s
	RetryTimeout                                time.Duration // how long a request is tried again; default 60 s

	PollRecords int // bounds the records of one fetch, default 4,096
	Now         func() time.Time
	Dial        func(ctx context.Context, network, address string) (net.Conn, error) // tests use it
	Options     []kgo.Opt                                                            // more, for tests
}

// SASL is how to log in. Secrets are never printed.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	User      string
	Password  Secret
	Token     func(context.Context) (Secret, error) // OAUTHBEARER
}

// Secret is a text that shows as ***, however it is printed.
type Secret string

func (Secret) String() string               { return "***" }
func (Secret) GoString() string             { return "***" }
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
