package kafka

import (
	"context"
	"errors"

	"github.com/streamql/streamql/topic"
)

func (b *Broker) Begin(context.Context, string) (topic.Txn, error) { return nil, errors.New("x") }
func (b *Broker) Join(context.Context, topic.Group) (topic.Member, error) { return nil, errors.New("x") }
func (b *Broker) Open(context.Context, []topic.Span) (topic.Reader, error) { return nil, errors.New("x") }
