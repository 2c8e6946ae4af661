package streamql_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/topic/generate"
)

const carColumns = `car STRING KEY, coolant_temp DOUBLE, intake_air_temp DOUBLE, intake_air_flow_speed DOUBLE, battery_percentage DOUBLE, battery_voltage DOUBLE,
	current_draw DOUBLE, speed DOUBLE, engine_vibration_amplitude DOUBLE, throttle_pos DOUBLE, tire_pressure11 INT, tire_pressure12 INT, tire_pressure21 INT,
	tire_pressure22 INT, accelerometer11_value DOUBLE, accelerometer12_value DOUBLE, accelerometer21_value DOUBLE, accelerometer22_value DOUBLE,
	control_unit_firmware INT, failure_occurred STRING`

// fillCars writes n JSON records of the cars generator to topic sensor-data, which has one partition.
func fillCars(b testing.TB, e *streamql.Engine, n int) {
	exec(b, e, "CREATE STREAM cars ("+carColumns+") WITH (topic='sensor-data', value_format='json', partitions=1);")
	src, err := generate.Open(generate.Config{Kind: "cars", Seed: 314})
	if err != nil {
		b.Fatal(err)
	}
	r, _ := e.Catalog().Relation("cars", true)
	value, err := format.New(r.Value)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	for from := 0; from < n; from += 8192 {
		rows := min(8192, n-from)
		rec, times := src.Make(int64(from), rows)
		txn, err := e.Broker().Begin(ctx, "fill")
		if err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			v, err := value.Encode(nil, rec.Columns()[1:], i)
			if err != nil {
				b.Fatal(err)
			}
			key := []byte(rec.Column(0).ValueStr(i))
			if err := txn.Write(topic.Partition{Topic: "sensor-data", ID: op.PartitionOf(key, 1)},
				topic.Record{Key: key, Value: v, Time: times[i]}); err != nil {
				b.Fatal(err)
			}
		}
		if err := txn.Commit(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func drain(b testing.TB, e *streamql.Engine, query string) int {
	rows, err := e.Query(context.Background(), query)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for batch, err := range rows.Batches() {
		if err != nil {
			b.Fatal(err)
		}
		n += batch.Rows()
	}
	return n
}

// BenchmarkQuery measures bounded queries over JSON records of 20 fields on the embedded broker, in rows read
// per second.
func BenchmarkQuery(b *testing.B) {
	const n = 200_000
	e := open(b)
	fillCars(b, e, n)
	exec(b, e, `CREATE MODEL engine TRANSFORM (* EXCEPT (car, failure_occurred)) FROM (SELECT * FROM cars SINCE EARLIEST UNTIL NOW WHERE failure_occurred = 'false')
		TRAIN ONCE WITH (type='autoencoder', layers='14:tanh,7:relu,7:tanh,18:linear', epochs=1, seed=314);`)
	for _, q := range []struct{ name, text string }{
		{"filter+project", `SELECT car, speed * 3.6 AS kmh, engine_vibration_amplitude FROM cars WHERE speed > 20`},
		{"count", `SELECT COUNT(*) AS n FROM cars`},
		{"group by car", `SELECT car, COUNT(*) AS n, AVG(speed) AS v FROM cars GROUP BY car`},
		{"window", `SELECT car, COUNT(*) AS n FROM cars WINDOW TUMBLING (SIZE 5 MINUTES) GROUP BY car`},
		{"score", `SELECT car, ANOMALY_SCORE(engine, *) AS s FROM cars`},
	} {
		b.Run(q.name, func(b *testing.B) {
			for range b.N {
				drain(b, e, q.text)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// BenchmarkJob measures a job from topic to topic: decode, filter, project, encode, commit.
func BenchmarkJob(b *testing.B) {
	const n = 100_000
	for range b.N {
		b.StopTimer()
		e := open(b, streamql.WithManualJobs())
		fillCars(b, e, n)
		exec(b, e, `SET 'auto.offset.reset'='earliest'; CREATE STREAM fast AS SELECT car, speed * 3.6 AS kmh, engine_vibration_amplitude FROM cars WHERE speed > 20;`)
		b.StartTimer()
		if err := e.Drain(context.Background(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

// BenchmarkKeys measures a keyed aggregate without JSON, with few and with many keys.
func BenchmarkKeys(b *testing.B) {
	const n = 1_000_000
	for _, keys := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			e := open(b)
			exec(b, e, fmt.Sprintf(`CREATE STREAM r (k BIGINT, v DOUBLE) WITH (connector='generator', kind='random', rows=%d, seed=1);`, n))
			for range b.N {
				g := fmt.Sprintf("(k * 1000 + CAST(v AS BIGINT)) %% %d", keys) // k and v run from 0 to 999
				drain(b, e, fmt.Sprintf(`SELECT %s AS g, COUNT(*) AS n, SUM(v) AS s FROM r GROUP BY %s HAVING COUNT(*) < 0`, g, g))
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
