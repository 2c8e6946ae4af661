-- Predictive maintenance on a fleet of connected cars: an autoencoder learns what a healthy car's readings look like, and every
-- reading it cannot reproduce is an anomaly. Ends by itself.
--
--   streamql run examples/queries/connected_cars.sql

-- 100 cars, a reading per 5 minutes each, about six days; 2 % of the readings are of a car that is failing.
CREATE STREAM cars WITH (connector='generator', kind='cars', rows=180000, seed=314, step='5 MINUTES');

SELECT failure_occurred, COUNT(*) AS readings, MIN(speed) AS slowest, MAX(speed) AS fastest FROM cars GROUP BY failure_occurred
  ORDER BY failure_occurred;

-- Training reads healthy rows only, in ten passes over the same rows. The model becomes version 1 in its own topic.
CREATE MODEL engine TRANSFORM (* EXCEPT (car, failure_occurred))
  FROM (SELECT * FROM cars SINCE EARLIEST UNTIL NOW WHERE failure_occurred = 'false') TRAIN ONCE
  WITH (type='autoencoder', layers='14:tanh,7:relu,7:tanh,18:linear', epochs=10, batch_size=100, threshold='quantile:0.999', seed=314);

-- How many of the healthy and of the failing readings are flagged.
SELECT failure_occurred, COUNT(*) AS readings, SUM(CASE WHEN IS_ANOMALY(engine, *) THEN 1 ELSE 0 END) AS flagged FROM cars
  GROUP BY failure_occurred ORDER BY failure_occurred;

-- The cars with the most flagged readings.
SELECT car, COUNT(*) AS flagged, MAX(ANOMALY_SCORE(engine, *)) AS highest FROM cars WHERE IS_ANOMALY(engine, *)
  GROUP BY car ORDER BY flagged DESC, car LIMIT 5;
