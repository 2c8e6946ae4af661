package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// class is the meaning of an error for the caller.
type class int

// The classes.
const (
	final   class = iota // the same call fails again until someone intervenes
	away                 // no response: the broker or the network is down
	notYet               // a response that reports a temporary condition
	refused              // an authorization is missing
	noLogin              // the login is refused
)

// classOf decides which errors are temporary. All others are final.
func classOf(err error) class {
	var network net.Error
	switch {
	case refusedLogin(err):
		return noLogin
	case errors.Is(err, topic.ErrRefused), unauthorized(err):
		return refused
	case errors.Is(err, context.Canceled):
		return final
	case errors.Is(err, topic.ErrNotYet):
		return notYet
	// Too few of the brokers that should have replicas of a new topic are up.
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return notYet
	// Kafka classifies it as retriable because a node may not know a new topic yet. At this
	// point layout has queried all nodes.
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return final
	case kerr.IsRetriable(err), errors.Is(err, kerr.ConcurrentTransactions):
		// leaders and coordinators that move or load, missing replicas, quotas, transactions in
		// progress
		return notYet
	case errors.Is(err, topic.ErrUnreachable),
		errors.As(err, &network),
		kgo.IsRetryableBrokerErr(err),
		errors.Is(err, io.EOF),
		// of one request; the caller's own deadline is checked by the caller
		errors.Is(err, context.DeadlineExceeded):
		return away
	}
	return final
}

// temporary reports whether the same request may succeed later by itself.
func temporary(err error) bool { c := classOf(err); return c == away || c == notYet }

// explain adds the attempted action and the cluster to an error of the client library, which
// names neither. It wraps ErrUnreachable if no broker responded, and ErrNotYet if a response
// reported a temporary condition, for topic.Passing.
func (b *Broker) explain(err error, attempt string) error {
	if err == nil {
		return nil
	}
	who, hosts := "this client", strings.Join(b.c.Brokers, ",")
	if b.c.SASL != nil && b.c.SASL.User != "" {
		who = fmt.Sprintf("user %q", b.c.SASL.User)
	}
	switch c := classOf(err); {
	case c == noLogin:
		return fmt.Errorf(
			"kafka %s: the login of %s was refused; check the user name, the secret and the SASL mechanism: %w",
			hosts,
			who,
			err,
		)
	case errors.Is(err, topic.ErrRefused): // the error names the refused operation already
		return err
	case c == refused:
		return fmt.Errorf(
			"kafka %s: %s is not allowed to %s; grant the permission in the cluster's ACLs: %w: %w",
			hosts,
			who,
			attempt,
			topic.ErrRefused,
			err,
		)
	case c == away && !errors.Is(err, topic.ErrUnreachable):
		return fmt.Errorf("kafka %s: cannot %s: %w: %w", hosts, attempt, topic.ErrUnreachable, err)
	case c == notYet && !errors.Is(err, topic.ErrNotYet):
		return fmt.Errorf("kafka %s: cannot %s: %w: %w", hosts, attempt, topic.ErrNotYet, err)
	}
	return fmt.Errorf("kafka %s: cannot %s: %w", hosts, attempt, err)
}
