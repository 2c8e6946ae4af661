-- Handwritten digits: a topic of images of 28 x 28 bytes, and a linear classifier of their pixels. The script ends by itself.
--
--   streamql run examples/queries/digits.sql

CREATE STREAM digits WITH (connector='generator', kind='digits', rows=4000, seed=1);

-- The training reads the first 3,000 images and never sees the other 1,000.
CREATE MODEL reader TRANSFORM (ML_BYTES(img, 255) AS img) TARGET label
  FROM (SELECT * FROM digits SINCE EARLIEST UNTIL OFFSET 3000) TRAIN ONCE
  WITH (type='softmax_regression', epochs=5, lr=0.05, seed=1);

SELECT COUNT(*) AS pictures, SUM(CASE WHEN PREDICT(reader, *) = label THEN 1 ELSE 0 END) AS correct FROM digits SINCE OFFSET 3000 UNTIL NOW;

-- The most frequent confusions of one digit with another.
SELECT label, PREDICT(reader, *) AS taken_for, COUNT(*) AS n FROM digits SINCE OFFSET 3000 UNTIL NOW WHERE PREDICT(reader, *) <> label
  GROUP BY label, PREDICT(reader, *) ORDER BY n DESC, label, taken_for LIMIT 5;
