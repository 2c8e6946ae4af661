-- Predictive maintenance on a fleet of connected cars. An autoencoder learns the readings of healthy cars; a reading that it cannot
-- reproduce is an anomaly. The script ends by itself.
--
--   streamql run examples/queries/connected_cars.sql

-- 100 cars, each with one reading per 5 minutes, over about six days. 2 % of the readings are from a failing car.
CREATE STREAM cars WITH (connector='generator', kind='cars', rows=180000, seed=314, step='5 MINUTES');

SELECT failure_occurred, COUNT(*) AS readings, MIN(speed) AS slowest, MAX(speed) AS fastest FROM cars GROUP BY failure_occurred
  ORDER BY failure_occurred;

-- The training reads healthy rows only, in ten passes over the same rows. The model becomes version 1 in its own topic.
CREATE MODEL engine TRANSFORM (* EXCEPT (car, failure_occurred))
  FROM (SELECT * FROM cars SINCE EARLIEST UNTIL NOW WHERE failure_occurred = 'false') TRAIN ONCE
  WITH (type='autoencoder', layers='14:tanh,7:relu,7:tanh,18:linear', epochs=10, batch_size=100, threshold='quantile:0.999', seed=314);

-- The numbers of healthy and of failing readings that the model flags.
SELECT failure_occurred, COUNT(*) AS readings, SUM(CASE WHEN IS_ANOMALY(engine, *) THEN 1 ELSE 0 END) AS flagged FROM cars
  GROUP BY failure_occurred ORDER BY failure_occurred;

-- The cars with the most flagged readings.
SELECT car, COUNT(*) AS flagged, MAX(ANOMALY_SCORE(engine, *)) AS highest FROM cars WHERE IS_ANOMALY(engine, *)
  GROUP BY car ORDER BY flagged DESC, car LIMIT 5;
