package streamql_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/udf"
)

// Runs a query over a stream, with a user-defined function and a parameter.
func Example() {
	ctx := context.Background()
	eng, err := streamql.Open(ctx, // without WithDir everything is in memory
		streamql.WithFunction(udf.Func1("kmh", "metres a second as kilometres an hour",
			func(v float64) float64 { return 3.6 * v })))
	if err != nil {
		log.Fatal(err)
	}
	defer eng.Close()
	err = eng.Exec(ctx, `
		CREATE STREAM cars (car STRING KEY, speed DOUBLE) WITH (topic='cars');
		INSERT INTO cars VALUES ('a', 10.0), ('b', 25.0), ('c', 30.0);`)
	if err != nil {
		log.Fatal(err)
	}
	rows, err := eng.Query(ctx, `SELECT car, kmh(speed) AS v FROM cars WHERE speed > $1`, 20.0)
	if err != nil {
		log.Fatal(err)
	}
	for batch, err := range rows.Batches() { // *flow.Batch: an Arrow record
		if err != nil {
			log.Fatal(err)
		}
		cars, v := batch.Column(0).(*array.String), batch.Column(1).(*array.Float64)
		for i := range batch.Rows() {
			fmt.Println(cars.Value(i), v.Value(i))
		}
	}
	// Output:
	// b 90
	// c 108
}

// Trains a model from a stream, and uses it in a query.
func Example_model() {
	ctx := context.Background()
	eng, err := streamql.Open(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer eng.Close()
	err = eng.Exec(ctx, `
		CREATE STREAM points (x DOUBLE, y DOUBLE) WITH (topic='points');
		INSERT INTO points VALUES (1.0, 1.0), (1.2, 0.9), (9.0, 9.0), (9.1, 8.8);
		CREATE MODEL groups FROM points TRAIN ONCE WITH (type='kmeans', k=2);`)
	if err != nil {
		log.Fatal(err)
	}
	rows, err := eng.Query(ctx, `SELECT COUNT(*) AS n, MODEL_VERSION(groups) AS v FROM points GROUP BY CLUSTER(groups, *), MODEL_VERSION(groups)`)
	if err != nil {
		log.Fatal(err)
	}
	for batch, err := range rows.Batches() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(batch.Text())
	}
	// Output:
	// + n=2 v=1
	// + n=2 v=1
}

// TestReadme runs the README's statements over rows in which one car fails.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	sql := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(text)
	if sql == nil {
		t.Fatal("the README shows no SQL")
	}
	statements := strings.SplitAfterN(string(sql[1]), ";", 2)
	e := open(t)
	exec(t, e, statements[0])
	var rows []string
	for i := range 400 {
		speed := 10 + float64(i%37)
		ratio, failed := 100.0, "false"
		if i%40 == 39 {
			ratio, failed = 150, "true"
		}
		rows = append(rows, fmt.Sprintf("('car%d', %g, %g, '%s')", i%20, speed, speed*ratio, failed))
	}
	exec(t, e, "INSERT INTO cars VALUES "+strings.Join(rows, ", "))
	exec(t, e, "SET 'auto.offset.reset'='earliest'; "+statements[1])
	wait(t, e, `SELECT COUNT(*) AS n, MIN(v) AS v FROM (SELECT * FROM alarms WHERE score > 1)`, "10 1\n")
	if readme := string(text); !strings.Contains(readme, "go run ./cmd/streamql demo") ||
		!strings.Contains(readme, "go test ./...") {
		t.Error("the README does not show the two commands")
	}
}
