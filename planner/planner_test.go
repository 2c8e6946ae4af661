package planner_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/dialect"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/planner"
	"github.com/streamql/streamql/udf"
)

const sources = `
	CREATE STREAM cars (car STRING KEY, speed DOUBLE, temp INT, at TIMESTAMP, pos STRUCT<lat DOUBLE, Lon DOUBLE>,
		tags ARRAY<STRING>) WITH (topic='cars', format='json', partitions=4);
	CREATE STREAM csv (k INT KEY, a STRING, b BIGINT) WITH (topic='csv', key_format='JSON', value_format='DELIMITED',
		value_delimiter=';', partitions=2);
	CREATE TABLE owners (car STRING PRIMARY KEY, name STRING, age INT) WITH (topic='owners', format='json');
	CREATE TABLE declared (id INT PRIMARY KEY, name STRING) WITH (topic='declared', format='json');
	CREATE STREAM stamped (a BIGINT) WITH (topic='stamped', format='json', timestamp='a');
	CREATE SOURCE STREAM fixed (a INT) WITH (topic='fixed', format='json');`

// options declares the tests' sources in a dialect.
func options(t *testing.T, ksql bool) planner.Options {
	t.Helper()
	o := planner.Options{Catalog: catalog.New(), Functions: udf.Builtins(), Properties: map[string]string{}}
	if ksql {
		o.Dialect = o.Dialect.With(dialect.UpperNames)
	}
	statements, err := lang.Parse(sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range statements {
		r, err := planner.Declare(st.(*lang.CreateSource), o)
		if err != nil {
			t.Fatal(err)
		}
		o.Catalog = o.Catalog.Apply(catalog.Change{Relation: r})
	}
	return o
}

func plan(t *testing.T, text string, o planner.Options) (*planner.Plan, error) {
	t.Helper()
	statements, err := lang.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	switch st := statements[0].(type) {
	case *lang.QueryStatement:
		return planner.Query(st.Query, o)
	case *lang.CreateSource:
		if st.Query == nil {
			_, err := planner.Declare(st, o)
			return nil, err
		}
		return planner.Fill(st, "job", o)
	case *lang.Insert:
		if st.Query != nil {
			return planner.Insert(st, "job", o)
		}
		_, _, err := planner.Values(st, o)
		return nil, err
	}
	t.Fatalf("%T is not planned here", statements[0])
	return nil, nil
}

func explain(p *planner.Plan) string {
	var out []string
	for _, s := range p.Stages {
		out = append(out, strings.Join(planner.Explain(s), "\n"))
	}
	return strings.Join(out, "\n--\n")
}

// errorPlaces has statements, with the code and the position of their error.
var errorPlaces = []struct{ text, want string }{
	{"SELECT * FROM nothing", "SQ2001 1:15+7"},
	{"SELECT\n  sped FROM cars", "SQ2003 2:3+4"},
	{"SELECT c.speed FROM cars", "SQ2004 1:8+7"},
	{"SELECT speed FROM cars c WHERE d.temp = 1", "SQ2004 1:32+6"},
	{"SELECT pos->alt FROM cars", "SQ2003 1:13+3"},
	{"SELECT speed->x FROM cars", "SQ2003 1:15+1"},
	{"SELECT NOPE(speed) FROM cars", "SQ2005 1:8+4"},
	{"SELECT ROUND(car) FROM cars", "SQ2007 1:8+5"},
	{"SELECT UCASE() FROM cars", "SQ2007 1:8+5"},
	{"SELECT car + 1 FROM cars", "SQ2006 1:12+1"},
	{"SELECT -car FROM cars", "SQ2006 1:8+1"},
	{"SELECT car FROM cars WHERE speed", "SQ2006 1:28+5"},
	{"SELECT car FROM cars WHERE NOT speed", "SQ2006 1:28+1"},
	{"SELECT car FROM cars WHERE car = 1", "SQ2006 1:32+1"},
	{"SELECT car FROM cars WHERE tags > tags", "SQ2006 1:33+1"},
	{"SELECT car FROM cars WHERE speed BETWEEN 1 AND 'x'", "SQ2006 1:48+1"},
	{"SELECT car FROM cars WHERE temp IN (1, TRUE)", "SQ2006 1:28+1"},
	{"SELECT car FROM cars WHERE temp LIKE 'x'", "SQ2006 1:28+1"},
	{"SELECT CASE WHEN temp THEN 1 END FROM cars", "SQ2006 1:8+1"},
	{"SELECT CASE WHEN TRUE THEN 1 ELSE 'x' END FROM cars", "SQ2006 1:8+1"},
	{"SELECT CAST(tags AS INT) FROM cars", "SQ2006 1:8+1"},
	{"SELECT CAST(temp AS NOTYPE) FROM cars", "SQ2011 1:21+6"},
	{"SELECT tags['x'] FROM cars", "SQ2006 1:8+1"},
	{"SELECT speed[1] FROM cars", "SQ2006 1:8+1"},
	{"SELECT ARRAY[1, TRUE] FROM cars", "SQ2006 1:8+1"},
	{"SELECT 123456789012345678901234567890123456789 FROM cars", "SQ2010 1:8+39"},
	{"SELECT $2 FROM cars", "SQ2014 1:8+1"},
	{"SELECT speed, COUNT(*) FROM cars GROUP BY car", "SQ2009 1:8+5"},
	{"SELECT car FROM cars WHERE COUNT(*) > 1", "SQ2008 1:28+5"},
	{"SELECT car FROM cars HAVING TRUE", "SQ3006 1:29+1"},
	{"SELECT car FROM cars WINDOW TUMBLING (SIZE 1 HOUR)", "SQ3006 1:29+1"},
	{"SELECT car, COUNT(*) FROM cars WINDOW TUMBLING (SIZE 0 SECONDS) GROUP BY car", "SQ2010 1:54+1"},
	{"SELECT car, COUNT(*) FROM cars WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 2 MINUTES) GROUP BY car",
		"SQ2010 1:74+1"},
	{"SELECT name, COUNT(*) FROM owners WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY name EMIT CHANGES", "SQ3006 1:42+1"},
	{"SELECT car FROM cars PARTITION BY temp", "SQ3007 1:35+1"},
	{"SELECT car AS a, speed AS a FROM cars", "SQ2015 1:18+1"},
	{"SELECT car FROM cars ORDER BY 3", "SQ2010 1:31+1"},
	{"SELECT 1 AS KSQL_COL_0, 2 FROM cars", "SQ2015 1:25+1"},
	{"SELECT car FROM cars ORDER BY car EMIT CHANGES", "SQ3010 1:31+1"},
	{"SELECT car FROM (SELECT car FROM cars) SINCE EARLIEST", "SQ3008 1:40+1"},
	{"SELECT car FROM (SELECT car FROM cars EMIT CHANGES)", "SQ3004 1:39+1"},
	{"CREATE TABLE t AS SELECT car FROM cars", "SQ3012 1:1+1"},
	{"CREATE STREAM t AS SELECT car, COUNT(*) FROM cars GROUP BY car", "SQ3012 1:1+1"},
	{"CREATE TABLE t AS SELECT COUNT(*) FROM cars GROUP BY car", "SQ2018 1:1+1"},
	{"CREATE TABLE t AS SELECT COUNT(*) FROM cars", "SQ3006 1:26+5"},
	{"CREATE STREAM t AS SELECT car, car AS c FROM cars", "SQ2018 1:1+1"},
	{"CREATE STREAM t WITH (partitons=3) AS SELECT car FROM cars", "SQ2012 1:23+9"},
	{"CREATE STREAM t WITH (value_format='JSOM') AS SELECT car, speed FROM cars", "SQ2017 1:1+1"},
	{"CREATE STREAM x (a INT, A INT, a INT) WITH (topic='x')", "SQ2015 1:32+1"},
	{"CREATE STREAM x (ROWTIME BIGINT) WITH (topic='x')", "SQ2015 1:18+7"},
	{"CREATE TABLE x (a INT) WITH (topic='x')", "SQ2016 1:14+1"},
	{"CREATE STREAM x (a DECIMAL(40, 2)) WITH (topic='x')", "SQ2011 1:20+1"},
	{"CREATE STREAM x (a INT) WITH (topic='x', timestamp='b')", "SQ2003 1:52+1"},
	{"CREATE STREAM x (a INT) WITH (topic='x', on_error='ignore')", "SQ2013 1:51+1"},
	{"CREATE STREAM x (a INT) WITH (topic='x', topic='y')", "SQ2012 1:42+1"},
	{"SELECT car FROM cars UNION SELECT a FROM csv", "SQ3001 1:22+1"},
	{"SELECT car FROM cars UNION ALL SELECT a, b FROM csv", "SQ2020 1:32+1"},
	{"SELECT speed FROM cars UNION ALL SELECT a FROM csv", "SQ2006 1:34+1"},
	{"CREATE STREAM t AS SELECT car, temp FROM cars UNION ALL SELECT a, k FROM csv", "SQ3012 1:57+1"},
	{"SELECT car FROM owners UNION ALL SELECT car FROM cars EMIT CHANGES", "SQ3012 1:1+1"},
	{"CREATE STREAM t AS SELECT speed FROM cars UNION ALL SELECT speed FROM cars", "SQ2018 1:20+1"},
	{"INSERT INTO fixed VALUES (1)", "SQ3013 1:13+5"},
	{"INSERT INTO csv VALUES (1, 'x')", "SQ2020 1:24+1"},
	{"INSERT INTO csv (k, z) VALUES (1, 'x')", "SQ2003 1:21+1"},
	{"INSERT INTO csv (k, b) VALUES (1, 'x')", "SQ2006 1:35+1"},
	{"INSERT INTO csv SELECT car FROM cars", "SQ2020 1:1+1"},
	{"INSERT INTO owners SELECT car FROM cars", "SQ3012 1:13+6"},
}

// TestErrorPlaces checks the planner's errors: the code, and the line, column and length of the
// underlined text.
func TestErrorPlaces(t *testing.T) {
	o := options(t, false)
	for _, c := range errorPlaces {
		_, err := plan(t, c.text+";", o)
		var e *lang.Error
		if !errors.As(err, &e) {
			t.Errorf("%s gave %v", c.text, err)
			continue
		}
		got := fmt.Sprintf("%s %d:%d+%d", e.Code, e.Pos.Line, e.Pos.Col, e.Len)
		if got != c.want {
			t.Errorf("%s\ngave %s (%s), want %s", c.text, got, e.Msg, c.want)
		}
	}
}

// TestNames checks the names of columns: the alias, the column's or field's own name, else
// KSQL_COL_n. Only one dialect folds unquoted names.
func TestNames(t *testing.T) {
	for _, c := range []struct{ text, ours, theirs string }{
		{"SELECT speed, temp + 1, UCASE(car) FROM cars EMIT CHANGES",
			"`speed` DOUBLE, `KSQL_COL_0` INTEGER, `KSQL_COL_1` STRING",
			"`SPEED` DOUBLE, `KSQL_COL_0` INTEGER, `KSQL_COL_1` STRING"},
		{"SELECT speed AS v, temp AS `T` FROM cars EMIT CHANGES", "`v` DOUBLE, `T` INTEGER", "`V` DOUBLE, `T` INTEGER"},
		{"SELECT pos->lat, pos->LON FROM cars EMIT CHANGES", "`lat` DOUBLE, `Lon` DOUBLE",
			"`LAT` DOUBLE, `LON` DOUBLE"},
		{"SELECT pos->lat, pos->lat AS l2, cars.SPEED FROM cars EMIT CHANGES",
			"`lat` DOUBLE, `l2` DOUBLE, `speed` DOUBLE", "`LAT` DOUBLE, `L2` DOUBLE, `SPEED` DOUBLE"},
		{"SELECT car, COUNT(*), SUM(temp) AS s FROM cars GROUP BY car EMIT CHANGES",
			"`car` STRING KEY, `KSQL_COL_0` BIGINT, `s` INTEGER", "`CAR` STRING KEY, `KSQL_COL_0` BIGINT, `S` INTEGER"},
		{"SELECT * FROM owners EMIT CHANGES", "`car` STRING KEY, `name` STRING, `age` INTEGER",
			"`CAR` STRING KEY, `NAME` STRING, `AGE` INTEGER"},
	} {
		for i, want := range []string{c.ours, c.theirs} {
			p, err := plan(t, c.text+";", options(t, i == 1))
			if err != nil {
				t.Errorf("%s: %v", c.text, err)
				continue
			}
			if got := (&catalog.Relation{Columns: p.Columns}).Schema(); got != want {
				t.Errorf("%s\nin dialect %d has %s, want %s", c.text, i, got, want)
			}
		}
	}
}

// rulePlans has statements and their plans after all rewrites.
var rulePlans = []struct{ text, want string }{
	{"SELECT speed FROM cars", `Project speed
  Scan cars topic="cars" format=JSON columns=(speed)`},
	{"SELECT speed FROM cars WHERE temp > 3", `Project speed
  Filter (temp > 3)
    Scan cars topic="cars" format=JSON columns=(speed, temp)`},
	{"SELECT tags[1] AS t FROM cars WHERE pos->lat > 1 + 1", `Project tags[1] AS t
  Filter (pos->lat > 2.0)
    Scan cars topic="cars" format=JSON columns=(pos, tags)`},
	{"SELECT car, MAX(temp) AS m FROM cars GROUP BY car", `Project car, $agg0 AS m
  Aggregate by ($key0) MAX(temp) emit at the end
    Project car AS $key0, temp AS $arg0_0, ROWTIME, $STREAMTIME
      Scan cars topic="cars" format=JSON columns=(car, temp)`},
	{"SELECT car FROM cars ORDER BY car DESC LIMIT 3", `Project car
  Limit 3
    Sort car DESC first 3
      Project car
        Scan cars topic="cars" format=JSON columns=(car)`},
	{"SELECT car FROM (SELECT car FROM cars ORDER BY car) LIMIT 3", `Project car
  Limit 3
    Project car
      Sort car first 3
        Project car
          Scan cars topic="cars" format=JSON columns=(car)`},
	{"SELECT v FROM (SELECT speed AS v, temp AS w, tags FROM cars) WHERE w = 1", `Project speed AS v
  Filter (temp = 1)
    Scan cars topic="cars" format=JSON columns=(speed, temp)`},
	{"SELECT v FROM (SELECT speed + 1 AS v FROM cars) WHERE v > 1", `Project v
  Filter (v > 1.0)
    Project (speed + 1.0) AS v
      Scan cars topic="cars" format=JSON columns=(speed)`},
	{"SELECT v, v * 2 AS w FROM (SELECT speed + 1 AS v FROM cars)", `Project v, (v * 2.0) AS w
  Project (speed + 1.0) AS v
    Scan cars topic="cars" format=JSON columns=(speed)`},
	{"SELECT t FROM (SELECT temp AS t, EXPLODE(tags) AS tag FROM cars) WHERE t > 1", `Project temp AS t
  Explode EXPLODE
    Filter (temp > 1)
      Scan cars topic="cars" format=JSON columns=(temp, tags)`},
	{"SELECT r FROM (SELECT RANDOM() AS r FROM cars) WHERE r > 0.5", `Project r
  Filter (r > 0.5)
    Project RANDOM() AS r
      Scan cars topic="cars" format=JSON columns=()`},
	{"SELECT x FROM (SELECT temp AS x FROM cars UNION ALL SELECT k FROM csv WHERE a = 'y') WHERE x > 1", `Project x
  Union of 2
    Project temp AS x
      Filter (temp > 1)
        Scan cars topic="cars" format=JSON columns=(temp)
    Project k AS x
      Filter (k > 1)
        Filter (a = 'y')
          Scan csv topic="csv" format=DELIMITED columns=(k, a)`},
	{"CREATE TABLE t AS SELECT x, COUNT(*) AS n FROM " +
		"(SELECT temp AS x FROM cars UNION ALL SELECT b FROM csv) GROUP BY x", `Exchange by ($key0) topic="streamql.exchange.job.1"
  Project x AS $key0, ROWTIME, $STREAMTIME
    Union of 2
      Project CAST(temp AS BIGINT) AS x, ROWTIME, $STREAMTIME
        Scan cars topic="cars" format=JSON columns=(temp)
      Project b AS x, ROWTIME, $STREAMTIME
        Scan csv topic="csv" format=DELIMITED columns=(b)
--
Sink topic="t" format=JSON
  Project x, $agg0 AS n, ROWTIME
    Aggregate by ($key0) COUNT(*) emit changes
      Receive topic="streamql.exchange.job.1"`},
	{"CREATE STREAM t AS SELECT car, speed FROM cars", `Sink topic="t" format=JSON
  Project car, speed, $HEADERS, ROWTIME
    Scan cars topic="cars" format=JSON columns=(car, speed)`},
	{"CREATE TABLE t AS SELECT temp, COUNT(*) AS n FROM cars GROUP BY temp",
		`Exchange by ($key0) topic="streamql.exchange.job.1"
  Project temp AS $key0, ROWTIME, $STREAMTIME
    Scan cars topic="cars" format=JSON columns=(temp)
--
Sink topic="t" format=JSON
  Project temp, $agg0 AS n, ROWTIME
    Aggregate by ($key0) COUNT(*) emit changes
      Receive topic="streamql.exchange.job.1"`},
	{"SELECT name FROM owners EMIT CHANGES", `Project name
  Normalize upserts
    Project name, car AS $car
      Scan owners topic="owners" format=JSON columns=(car, name)`},
}

// TestRules checks plans after all rewrites: a scan reads only the columns in use, filters are
// where they cost least, and projections are merged.
func TestRules(t *testing.T) {
	o := options(t, false)
	for _, c := range rulePlans {
		p, err := plan(t, c.text+";", o)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := explain(p); got != c.want {
			t.Errorf("%s\nis planned as\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
}

// TestBounds checks the range that the filters of a bounded query leave to a scan.
func TestBounds(t *testing.T) {
	o := options(t, false)
	for _, c := range []struct{ text, want string }{
		{"SELECT car FROM cars WHERE ROWOFFSET >= 10 AND ROWOFFSET < 20 AND ROWPARTITION = 2",
			"partition 2 from 10 to 20"},
		{"SELECT car FROM cars WHERE ROWOFFSET = 7 AND speed > 1", "from 7 to 8"},
		{"SELECT car FROM cars WHERE 5 < ROWOFFSET AND ROWOFFSET <= 8 AND ROWOFFSET > 3", "from 6 to 9"},
		{"SELECT car FROM cars WHERE ROWOFFSET > 5 OR speed > 1", ""},
		{"SELECT c FROM (SELECT car AS c, ROWOFFSET AS o FROM cars) WHERE o > 5", "from 6"},
		{"SELECT car FROM cars WHERE ROWTIME >= 1000 AND ROWTIME < 2000", "since 1000"},
		{"SELECT a FROM stamped WHERE ROWTIME >= 1000", ""}, // its event time is a column
		{"SELECT name FROM declared WHERE ROWOFFSET > 5", ""},
		// a later record replaces an earlier one, whatever its offset
		{"SELECT car FROM cars WHERE ROWOFFSET > 5 EMIT CHANGES", ""},
	} {
		p, err := plan(t, c.text+";", o)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		b := p.Stages[0].Leaves[0].Bounds
		var got []string
		if b.Partition != nil {
			got = append(got, fmt.Sprint("partition ", *b.Partition))
		}
		if b.From != nil {
			got = append(got, fmt.Sprint("from ", *b.From))
		}
		if b.To != nil {
			got = append(got, fmt.Sprint("to ", *b.To))
		}
		if b.Since != nil {
			got = append(got, fmt.Sprint("since ", *b.Since))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s\nreads %q, want %q", c.text, got, c.want)
		}
	}
}

// TestInherits checks the properties that CREATE AS derives from its source unless WITH sets them:
// formats, delimiter and partitions.
func TestInherits(t *testing.T) {
	o := options(t, false)
	for _, c := range []struct{ text, want string }{
		{"CREATE STREAM t AS SELECT k, a, b FROM csv", `t JSON DELIMITED";" 2`},
		{"CREATE STREAM t WITH (value_format='JSON') AS SELECT k, a, b FROM csv", `t JSON JSON"" 2`},
		{"CREATE STREAM t WITH (value_delimiter='|', topic='other') AS SELECT k, a, b FROM csv",
			`other JSON DELIMITED"|" 2`},
		{"CREATE TABLE t AS SELECT a, COUNT(*) AS n FROM csv GROUP BY a", `t JSON DELIMITED";" 2`},
		{"CREATE STREAM t AS SELECT car, speed FROM cars", `t JSON JSON"" 4`},
		{"CREATE STREAM t WITH (partitions=7) AS SELECT car, speed FROM cars", `t JSON JSON"" 7`},
	} {
		p, err := plan(t, c.text+";", o)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		r := p.Result
		if got := fmt.Sprintf("%s %s %s%q %d", r.Topic, r.Key.Name, r.Value.Name, r.Value.Options["delimiter"],
			r.Partitions); got != c.want {
			t.Errorf("%s\nmakes %s, want %s", c.text, got, c.want)
		}
	}
}
