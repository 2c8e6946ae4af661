package connect

import (
	"context"
	"fmt"
	"math"

	"github.com/streamql/streamql/option"
)

var _ = builtin(Connector{
	Name: "topic",
	Doc: "Topics of the broker, embedded or Kafka: a topic that is not there is made. It is the connector of " +
		"relations that name none.",
	Options: []option.Option{
		{Name: "partitions", Type: option.Int, Min: 1, Max: math.MaxInt32,
			Doc: "the partitions of the topic; one that is there must have as many"},
		{Name: "replicas", Type: option.Int, Min: 1, Max: math.MaxInt16,
			Doc: "the copies of each partition in the cluster, of a topic that is made"},
		{Name: "retention_ms", Type: option.Duration, Min: -1,
			Doc: "how long records stay at least, of a topic that is made"},
		{Name: "cleanup_policy", Type: option.Word, Words: []string{"delete", "compact", "compact,delete", "delete,compact"},
			Doc: "whether old records go, or those whose key has a newer one, of a topic that is made"},
	},
	Shape: KeyedRecords, Broker: true, Writes: true, Replays: true,
	Check: func(o option.Values, w World) error {
		if n := o.Int("replicas"); w.Copies > 0 && n > int64(w.Copies) {
			return &option.Error{Option: "replicas", Value: true,
				Reason: fmt.Sprintf("option replicas is %d, and this broker keeps at most %d", n, w.Copies)}
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
