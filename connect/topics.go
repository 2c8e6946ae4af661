package connect

import (
	"context"
	"fmt"
	"math"

	"github.com/streamql/streamql/option"
)

var _ = builtin(Connector{
	Name: "topic",
	Doc: "Topics of the broker, embedded or Kafka. A topic that does not exist is created. Relations that name no " +
		"connector use this one.",
	Options: []option.Option{
		{Name: "partitions", Type: option.Int, Min: 1, Max: math.MaxInt32,
			Doc: "the number of partitions; an existing topic must have the same number"},
		{Name: "replicas", Type: option.Int, Min: 1, Max: math.MaxInt16,
			Doc: "the number of replicas of each partition of a new topic"},
		{Name: "retention_ms", Type: option.Duration, Min: -1,
			Doc: "the minimum retention of records in a new topic"},
		{Name: "cleanup_policy", Type: option.Word, Words: []string{"delete", "compact", "compact,delete", "delete,compact"},
			Doc: "whether a new topic deletes old records, compacts records by key, or both"},
	},
	Shape: KeyedRecords, Broker: true, Writes: true, Replays: true,
	Check: func(o option.Values, l Limits) error {
		if n := o.Int("replicas"); l.Copies > 0 && n > int64(l.Copies) {
			return &option.Error{Option: "replicas", Value: true,
				Reason: fmt.Sprintf("option replicas is %d, but this broker supports at most %d", n, l.Copies)}
		}
		return nil
	},
	Open: func(_ context.Context, r Request) (Opened, error) { return Opened{Source: r.Broker}, nil },
	Examples: []Example{{
		SQL: `CREATE STREAM cars (car STRING KEY, speed DOUBLE) WITH (topic='cars', format='json', partitions=4);
INSERT INTO cars (car, speed) VALUES ('a', 27.5);
SELECT car, speed FROM cars;`,
		Want: `a,27.5`,
	}},
})
