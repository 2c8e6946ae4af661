package streamql_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/connect"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic"
)

// squares is a connector that a program brings: a row for each number below n.
var squares = connect.Connector{
	Name: "squares", Doc: "The squares of the numbers below n.", Shape: connect.Columns, Replays: true, Infers: true,
	Options: []option.Option{{Name: "n", Type: option.Int, Default: "10", Min: 1, Max: 1000,
		Doc: "how many rows there are"}},
	Open: func(_ context.Context, r connect.Request) (connect.Opened, error) {
		fields := []arrow.Field{flow.Field("x", flow.Bigint), flow.Field("square", flow.Bigint)}
		return connect.Opened{Source: squaresOf(r.Options.Int("n")), Partitions: 1,
			Columns: func() ([]arrow.Field, error) { return fields, nil }}, nil
	},
}

type squaresOf int64

func (s squaresOf) Describe(_ context.Context, name string) (topic.Topic, error) {
	all := topic.Span{Partition: topic.Partition{Topic: name}, To: topic.Offset(s)}
	return topic.Topic{Name: name, Partitions: []topic.Span{all}}, nil
}

func (s squaresOf) Open(_ context.Context, spans []topic.Span) (topic.Reader, error) {
	return &squaresReader{spans[0]}, nil
}

type squaresReader struct{ left topic.Span }

func (r *squaresReader) Poll(ctx context.Context) ([]topic.Fetch, error) {
	if r.left.From >= r.left.To || r.left.To == topic.End {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	at := int64(r.left.From)
	f := topic.Fetch{Partition: r.left.Partition, From: r.left.From, Next: r.left.From + 1, Offsets: []topic.Offset{r.left.From},
		Times: []int64{at}}
	r.left.From++
	schema := arrow.NewSchema([]arrow.Field{flow.Field("x", flow.Bigint), flow.Field("square", flow.Bigint)}, nil)
	f.Decoded = array.NewRecord(schema, []arrow.Array{flow.Column(flow.Bigint, at), flow.Column(flow.Bigint, at*at)}, 1)
	return []topic.Fetch{f}, nil
}

func (r *squaresReader) Close() error { return nil }

// TestWithConnector uses a connector that one engine has and others do not.
func TestWithConnector(t *testing.T) {
	e := open(t, streamql.WithConnector(squares))
	exec(t, e, "CREATE STREAM s WITH (connector='squares', n=4);")
	if got := result(t, e, "SELECT x, square FROM s WHERE x > 1 LIMIT 2;"); got != "2 4\n3 9\n" {
		t.Error(got)
	}
	if got := result(t, e, "SHOW CONNECTORS;"); !strings.Contains(got, "squares read, replay, infer columns") {
		t.Error(got)
	}
	refused(t, e, "CREATE STREAM t WITH (connector='squares', n=0);", "SQ5002", "a whole number from 1 to 1000")
	refused(t, e, "CREATE STREAM t WITH (connector='squares', m=1);", "SQ2012", "the options of connector 'squares' are")
	refused(t, open(t), "CREATE STREAM s WITH (connector='squares', n=4);", "SQ5001", "there is no connector")
	twice := streamql.WithConnector(squares)
	if _, err := streamql.Open(context.Background(), twice, twice); err == nil {
		t.Error("a connector can be added twice")
	}
	other := squares
	other.Replays = false
	e = open(t, streamql.WithConnector(other))
	exec(t, e, "CREATE STREAM s WITH (connector='squares', n=4);")
	refused(t, e, "CREATE STREAM t AS SELECT * FROM s;", "SQ3001", "cannot be read again")
}

// framed is a format that a program brings: a zero byte, the id of a schema, and a number, multiplied by a factor in the schema.
var framed = format.Format{
	Name: "FRAMED", Doc: "A number after the id of its schema.",
	Options: []option.Option{{Name: "unit", Type: option.Word, Words: []string{"one", "two"}, Default: "one",
		Doc: "the schema that is written"}},
	Columns: func(ctx context.Context, r format.Request) ([]arrow.Field, error) {
		s, err := r.Schemas.Latest(ctx, r.Subject)
		return []arrow.Field{flow.Field(s.Text, flow.Bigint)}, err
	},
	Open: func(ctx context.Context, r format.Request) (format.Codec, error) {
		if len(r.Fields) != 1 {
			return nil, errors.New("a record is one number")
		}
		return &framedCodec{ctx: ctx, r: r, known: map[int32]int64{}}, nil
	},
}

type framedCodec struct {
	ctx   context.Context
	r     format.Request
	known map[int32]int64
	id    int32
}

func (c *framedCodec) Decode(in *topic.Bytes, want []int) ([]arrow.Array, []format.Bad, error) {
	values := make([]any, in.Len())
	for i := range in.Len() {
		b := in.At(i)
		id := int32(binary.BigEndian.Uint32(b[1:]))
		if _, ok := c.known[id]; !ok {
			s, err := c.r.Schemas.ByID(c.ctx, id)
			if err != nil {
				return nil, nil, err
			}
			c.known[id] = int64(len(s.Text))
		}
		values[i] = int64(b[5]) * c.known[id]
	}
	b := flow.Builder(flow.Bigint)
	for _, v := range values {
		flow.Append(b, v)
	}
	return []arrow.Array{b.NewArray()}[:len(want)], nil, nil
}

func (c *framedCodec) Encode(dst []byte, cols []arrow.Array, row int) (_ []byte, err error) {
	if c.id == 0 {
		text := map[string]string{"one": "n", "two": "nn"}[c.r.Values.Text("unit")]
		if c.id, err = c.r.Schemas.Register(c.ctx, c.r.Subject, format.Schema{Text: text}); err != nil {
			return nil, err
		}
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0), uint32(c.id))
	return append(dst, byte(flow.Value(cols[0], row).(int64))), nil
}

// schemaList is a schema registry in memory.
type schemaList struct {
	mu       sync.Mutex
	schemas  []format.Schema
	subjects []string
}

func (r *schemaList) ByID(ctx context.Context, id int32) (format.Schema, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(id) > len(r.schemas) {
		return format.Schema{}, fmt.Errorf("there is no schema %d", id)
	}
	return r.schemas[id-1], ctx.Err()
}

func (r *schemaList) Latest(ctx context.Context, subject string) (format.Schema, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.subjects) - 1; i >= 0; i-- {
		if r.subjects[i] == subject {
			return r.schemas[i], ctx.Err()
		}
	}
	return format.Schema{}, fmt.Errorf("there is no subject %q", subject)
}

func (r *schemaList) Register(ctx context.Context, subject string, s format.Schema) (int32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.schemas, r.subjects = append(r.schemas, s), append(r.subjects, subject)
	return int32(len(r.schemas)), ctx.Err()
}

// last is the text of the newest schema of a subject.
func (r *schemaList) last(subject string) string {
	s, _ := r.Latest(context.Background(), subject)
	return s.Text
}

// TestWithFormat uses a format that looks up the schema of each record by its id.
func TestWithFormat(t *testing.T) {
	schemas := &schemaList{}
	e := open(t, streamql.WithFormat(framed), streamql.WithSchemas(schemas))
	exec(t, e, `CREATE STREAM a (v BIGINT) WITH (topic='x', value_format='framed');
CREATE STREAM b (v BIGINT) WITH (topic='x', value_format='framed', unit='two');
INSERT INTO a (v) VALUES (3); INSERT INTO b (v) VALUES (3);`)
	if got := result(t, e, "SELECT v FROM a;"); got != "3\n6\n" {
		t.Error(got)
	}
	if len(schemas.subjects) != 2 || schemas.subjects[0] != "x-value" {
		t.Error(schemas.subjects)
	}
	exec(t, e, "CREATE STREAM c WITH (topic='x', value_format='framed');") // its columns are those of the newest schema
	if got := result(t, e, "SELECT nn FROM c;"); got != "3\n6\n" {
		t.Error(got)
	}
	exec(t, e, "CREATE STREAM d AS SELECT v + 1 AS v FROM b;") // it writes as b does
	exec(t, e, "INSERT INTO a (v) VALUES (5);")
	for began := time.Now(); schemas.last("d-value") != "nn"; {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the job has written nothing")
		}
		time.Sleep(10 * time.Millisecond)
	}
	refused(t, e, "CREATE STREAM f (v BIGINT) WITH (topic='x', value_format='framed', unit='too');",
		"SQ2013", "'one' or 'two'")
	refused(t, e, "CREATE STREAM f (v BIGINT, w BIGINT) WITH (topic='x', value_format='framed');",
		"SQ2017", "a record is one number")
	refused(t, open(t), "CREATE STREAM f (v BIGINT) WITH (topic='x', value_format='framed');", "SQ2017", "unknown format")
	other := framed
	other.ReadOnly = true
	e = open(t, streamql.WithFormat(other), streamql.WithSchemas(schemas))
	exec(t, e, "CREATE STREAM a (v BIGINT) WITH (topic='x', value_format='framed');")
	refused(t, e, "INSERT INTO a (v) VALUES (3);", "SQ3013", "only read")
}
