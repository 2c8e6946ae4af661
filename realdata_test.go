package streamql_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/udf/ml"
)

// data returns the path of a file of real data, which the repository does not contain.
func data(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("STREAMQL_DATA")
	if dir == "" {
		dir = filepath.Join("..", "shared", "data")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("left out: %s is not there (STREAMQL_DATA names its directory)", name)
	}
	return path
}

const sensors = `coolant_temp, intake_air_temp, intake_air_flow_speed, battery_percentage, battery_voltage, current_draw, speed,
	engine_vibration_amplitude, throttle_pos, tire_pressure_1_1, tire_pressure_1_2, tire_pressure_2_1, tire_pressure_2_2,
	accelerometer_1_1_value, accelerometer_1_2_value, accelerometer_2_1_value, accelerometer_2_2_value, control_unit_firmware`

func scaled(columns string) string {
	var out []string
	for _, c := range strings.Split(columns, ",") {
		c = strings.TrimSpace(c)
		out = append(out, "ML_STANDARD_SCALER("+c+") AS "+c)
	}
	return strings.Join(out, ", ")
}

func openCars(t *testing.T) *streamql.Engine {
	e := open(t)
	var columns []string
	for _, c := range strings.Split(sensors, ",") {
		columns = append(columns, strings.TrimSpace(c)+" DOUBLE")
	}
	exec(t, e, fmt.Sprintf("CREATE STREAM cars (time BIGINT, car STRING, %s) WITH (connector='files', path='%s', format='csv');",
		strings.Join(columns, ", "), data(t, "car-sensor-data.csv")))
	return e
}

// auc scores all rows and returns the area under the ROC curve. The vibration of the failing rows is 150
// times their speed.
func auc(t *testing.T, e *streamql.Engine, model string) float64 {
	rows, err := e.Query(context.Background(), "SELECT ANOMALY_SCORE("+model+
		", *) AS score, engine_vibration_amplitude / speed > 125 AS failing FROM cars")
	if err != nil {
		t.Fatal(err)
	}
	var scores []float64
	var failing []bool
	for b, err := range rows.Batches() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Rows() {
			scores = append(scores, b.Column(0).(*array.Float64).Value(i))
			failing = append(failing, b.Column(1).(*array.Boolean).Value(i))
		}
	}
	if len(scores) != 10000 {
		t.Errorf("%d rows were scored, want 10000", len(scores))
	}
	return ml.AUC(scores, failing)
}

// TestCarSensors trains the autoencoder of the published demo on its CSV, and compares the result with that
// of scikit-learn's MLP of the same layers.
func TestCarSensors(t *testing.T) {
	e := openCars(t)
	for _, c := range []struct {
		name, items string
		least       float64
	}{
		{"all", scaled(sensors), 0.74},
		{"five", scaled("speed, engine_vibration_amplitude, throttle_pos, current_draw, battery_voltage"), 0.87},
		{"ratio", scaled(sensors) + ", ML_STANDARD_SCALER(engine_vibration_amplitude / GREATEST(speed, 0.01)) AS vibration_ratio", 0.95},
	} {
		exec(t, e, fmt.Sprintf(`CREATE MODEL %s TRANSFORM (%s) FROM (SELECT * FROM cars WHERE engine_vibration_amplitude / speed < 125) TRAIN ONCE
			WITH (type='autoencoder', layers='14:tanh,7:tanh,7:tanh', epochs=20, batch_size=100);`, c.name, c.items))
		got := auc(t, e, c.name)
		t.Logf("%s: AUC %.4f", c.name, got)
		if got < c.least {
			t.Errorf("%s: AUC %.4f, want at least %.2f", c.name, got, c.least)
		}
	}
}

// TestElectricity runs prequential logistic regression on Elec2 in one statement.
func TestElectricity(t *testing.T) {
	e := open(t)
	exec(t, e, fmt.Sprintf(`CREATE STREAM elec (date DOUBLE, day STRING, period DOUBLE, nswprice DOUBLE, nswdemand DOUBLE, vicprice DOUBLE, vicdemand DOUBLE,
		transfer DOUBLE, class STRING) WITH (connector='files', path='%s', format='csv');`, data(t, "electricity.csv")))
	exec(t, e, `CREATE MODEL m TRANSFORM (ML_ONE_HOT_ENCODER(day) AS day, ML_STANDARD_SCALER(date) AS date, ML_STANDARD_SCALER(period) AS period,
		  ML_STANDARD_SCALER(nswprice) AS nswprice, ML_STANDARD_SCALER(nswdemand) AS nswdemand, ML_STANDARD_SCALER(vicprice) AS vicprice,
		  ML_STANDARD_SCALER(vicdemand) AS vicdemand, ML_STANDARD_SCALER(transfer) AS transfer) TARGET class
		FROM elec SINCE EARLIEST UNTIL NOW TRAIN EACH EVENT EVALUATE PREQUENTIAL WITH (type='logistic_regression');`)
	got := result(t, e, `SELECT metric, LATEST_BY_OFFSET(value) AS v FROM streamql.training WHERE event = 'prequential' AND metric IN ('accuracy', 'kappa', 'rows') GROUP BY metric ORDER BY metric`)
	t.Log("\n" + got)
	var accuracy, kappa, rows float64
	if _, err := fmt.Sscanf(got, "accuracy %f\nkappa %f\nrows %f", &accuracy, &kappa, &rows); err != nil {
		t.Fatal(err, got)
	}
	if accuracy < 0.80 || kappa < 0.5 || rows != 45312 {
		t.Errorf("accuracy %.4f kappa %.4f over %v rows, want at least 0.80 and 0.5 over 45312", accuracy, kappa, rows)
	}
}
