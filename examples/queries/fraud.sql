-- Card fraud, learned online: the model predicts each payment, is scored on the prediction, and then learns the payment. The script ends
-- by itself.
--
--   streamql run examples/queries/fraud.sql

CREATE STREAM payments WITH (connector='generator', kind='fraud', rows=50000, seed=7);

-- Logistic regression by gradient descent, one step per event. A version is published every 10,000 rows and at the end.
CREATE MODEL fraud TRANSFORM (LN(amount) AS amount, CASE WHEN hour < 6 THEN 1 ELSE 0 END AS night, merchant_category,
    CASE WHEN country <> home_country THEN 1 ELSE 0 END AS abroad)
  TARGET is_fraud FROM payments SINCE EARLIEST UNTIL NOW TRAIN EACH EVENT PUBLISH EVERY 10000 ROWS
  WITH (type='logistic_regression', seed=7);

-- The versions, each with its scores on rows before it learned from them.
SELECT version, rows, metrics['prequential.accuracy'] AS accuracy, metrics['prequential.kappa'] AS kappa FROM fraud ORDER BY version;

-- The predictions of the newest version for honest and for fraudulent payments.
SELECT is_fraud, COUNT(*) AS payments, AVG(PREDICT_PROBA(fraud, *)['true']) AS suspicion,
    SUM(CASE WHEN PREDICT_PROBA(fraud, *)['true'] > 0.2 THEN 1 ELSE 0 END) AS to_check
  FROM payments GROUP BY is_fraud ORDER BY is_fraud;

SELECT metric, value FROM ML_EVALUATE(fraud, payments) ORDER BY metric;
