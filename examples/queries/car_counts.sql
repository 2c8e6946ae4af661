-- Counts the readings per car in windows of 5 minutes. The script ends by itself.
--
--   streamql run examples/queries/car_counts.sql
--
-- Over a live topic, the same query fills a table continuously:
--   CREATE TABLE car_counts AS SELECT car, COUNT(*) AS readings FROM cars WINDOW TUMBLING (SIZE 5 MINUTES) GROUP BY car;

-- 3 cars, each with one reading per minute.
CREATE STREAM cars WITH (connector='generator', kind='cars', cars=3, rows=60, seed=1, step='1 MINUTE');

SELECT car, WINDOWSTART AS window_start, COUNT(*) AS readings, MAX(speed) AS fastest FROM cars WINDOW TUMBLING (SIZE 5 MINUTES)
  GROUP BY car ORDER BY window_start, car;
