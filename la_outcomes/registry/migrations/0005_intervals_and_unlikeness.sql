-- A model's interval and the interval after calibration apart; what a model takes for infarct; how unlike a scan is.
-- Until now the calibrated interval stood in the columns of the model's own.
CREATE TEMP TABLE la_measurements_before AS FROM la_measurements;

DROP TABLE la_measurements;

CREATE TABLE "la_measurements" (
  "scan_id" VARCHAR NOT NULL,
  "model_sha256" VARCHAR NOT NULL,
  "parameters_sha256" VARCHAR NOT NULL,
  "la_volume_ml" DOUBLE,
  "la_volume_calibrated_ml" DOUBLE,
  "la_volume_calibrated_low_ml" DOUBLE,
  "la_volume_calibrated_high_ml" DOUBLE,
  "la_volume_low_ml" DOUBLE,
  "la_volume_high_ml" DOUBLE,
  "not_measured_reason" VARCHAR,
  "brain_volume_ml" DOUBLE,
  "icv_ml" DOUBLE,
  "infarct_found_ml" DOUBLE,
  "unlikeness" DOUBLE,
  "input_warning" VARCHAR,
  "mask_path" VARCHAR,
  "mask_sha256" VARCHAR,
  "picture_path" VARCHAR,
  "cpu_seconds" DOUBLE,
  "is_transient" BOOLEAN NOT NULL DEFAULT FALSE,
  "run_id" VARCHAR,
  PRIMARY KEY ("model_sha256", "parameters_sha256", "scan_id"),
  CHECK ("la_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("la_volume_calibrated_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("la_volume_calibrated_low_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("la_volume_calibrated_high_ml" BETWEEN 0.0 AND 100000.0),
  CHECK ("la_volume_low_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("la_volume_high_ml" BETWEEN 0.0 AND 2000.0),
  CHECK ("brain_volume_ml" BETWEEN 1.0 AND 3000.0),
  CHECK ("icv_ml" BETWEEN 1.0 AND 4000.0),
  CHECK ("infarct_found_ml" BETWEEN 0.0 AND 2000.0),
  CHECK ("unlikeness" BETWEEN 0.0 AND 1000000.0),
  CHECK ("cpu_seconds" BETWEEN 0.0 AND 10000000.0),
  CHECK ((la_volume_ml IS NULL) <> (not_measured_reason IS NULL)),
  CHECK (la_volume_low_ml <= la_volume_high_ml),
  CHECK (la_volume_calibrated_low_ml <= la_volume_calibrated_high_ml),
  FOREIGN KEY ("scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("model_sha256") REFERENCES "models" ("model_sha256"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

INSERT INTO la_measurements BY NAME
SELECT * REPLACE (
           CASE WHEN la_volume_calibrated_ml IS NULL THEN la_volume_low_ml END AS la_volume_low_ml,
           CASE WHEN la_volume_calibrated_ml IS NULL THEN la_volume_high_ml END AS la_volume_high_ml
       ),
       CASE WHEN la_volume_calibrated_ml IS NOT NULL THEN la_volume_low_ml END AS la_volume_calibrated_low_ml,
       CASE WHEN la_volume_calibrated_ml IS NOT NULL THEN la_volume_high_ml END AS la_volume_calibrated_high_ml
FROM la_measurements_before;

DROP TABLE la_measurements_before;
