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

// class is what an error means to whoever called.
type class int

const (
	final   class = iota // the same call fails again until somebody changes something
	away                 // no answer came: a broker, or the way to it
	notYet               // an answer came, and says that it is passing
	refused              // a right is missing
	noLogin              // the login is refused
)

// classOf is the one place that knows which errors pass. What is not named here is final.
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
	// Of the brokers that should hold copies of a new topic too few are there.
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return notYet
	// Kafka calls them passing because the node that was asked may not have heard of a new topic. Here layout has asked all of them.
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return final
	case kerr.IsRetriable(err), errors.Is(err, kerr.ConcurrentTransactions): // leaders and coordinators that move or load, replicas that are missing, quotas, transactions under way
		return notYet
	case errors.Is(err, topic.ErrUnreachable), errors.As(err, &network), kgo.IsRetryableBrokerErr(err), errors.Is(err, io.EOF),
		errors.Is(err, context.DeadlineExceeded): // of one request; the caller knows of its own deadline
		return away
	}
	return final
}

// passing reports whether the same request may succeed later by itself.
func passing(err error) bool { c := classOf(err); return c == away || c == notYet }

// explain says what was attempted and who refused it: errors of the client library name neither. ErrUnreachable is wrapped where no broker
// answered, ErrNotYet where one did and that is passing, so that topic.Passing knows.
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
		return fmt.Errorf("kafka %s: the login of %s was refused; check its name, secret and SASL mechanism: %w", hosts, who, err)
	case errors.Is(err, topic.ErrRefused): // it says already what was refused
		return err
	case c == refused:
		return fmt.Errorf("kafka %s: %s is not allowed to %s; have it granted there: %w: %w", hosts, who, attempt, topic.ErrRefused, err)
	case c == away && !errors.Is(err, topic.ErrUnreachable):
		return fmt.Errorf("kafka %s: cannot %s: %w: %w", hosts, attempt, topic.ErrUnreachable, err)
	case c == notYet && !errors.Is(err, topic.ErrNotYet):
		return fmt.Errorf("kafka %s: cannot %s: %w: %w", hosts, attempt, topic.ErrNotYet, err)
	}
	return fmt.Errorf("kafka %s: cannot %s: %w", hosts, attempt, err)
}
