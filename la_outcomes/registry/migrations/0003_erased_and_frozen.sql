-- Withdrawn patients and frozen cohorts. The key of la_measurements begins with what its rows share: the same
-- key, and a smaller index. A table is rebuilt through a temporary one, as RENAME leaves
-- foreign keys that point to the old name.
CREATE TABLE "erasures" (
  "identifier_sha256" VARCHAR NOT NULL,
  "salt" VARCHAR NOT NULL,
  "is_patient" BOOLEAN NOT NULL,
  "erased_at" TIMESTAMP NOT NULL,
  PRIMARY KEY ("identifier_sha256")
);

CREATE TABLE "freezes" (
  "freeze_name" VARCHAR NOT NULL,
  "frozen_at" TIMESTAMP NOT NULL,
  "population" VARCHAR NOT NULL,
  "n" INTEGER NOT NULL,
  "cohort_sha256" VARCHAR NOT NULL,
  "columns_sha256" VARCHAR NOT NULL,
  "versions" VARCHAR NOT NULL,
  "run_id" VARCHAR,
  PRIMARY KEY ("freeze_name"),
  CHECK ("n" BETWEEN 1.0 AND 2000000000.0),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "frozen_patients" (
  "freeze_name" VARCHAR NOT NULL,
  "patient_id" VARCHAR NOT NULL,
  "row_sha256" VARCHAR NOT NULL,
  PRIMARY KEY ("freeze_name", "patient_id"),
  FOREIGN KEY ("freeze_name") REFERENCES "freezes" ("freeze_name"),
  FOREIGN KEY ("patient_id") REFERENCES "patients" ("patient_id")
);

CREATE TEMP TABLE la_measurements_before AS FROM la_measurements;

DROP TABLE la_measurements;

CREATE TABLE "la_measurements" (
  "scan_id" VARCHAR NOT NULL,
  "model_sha256" VARCHAR NOT NULL,
  "parameters_sha256" VARCHAR NOT NULL,
  "la_volume_ml" DOUBLE,
  "la_volume_calibrated_ml" DOUBLE,
  "la_volume_low_ml" DOUBLE,
  "la_volume_high_ml" DOUBLE,
  "not_measured_reason" VARCHAR,
  "brain_volume_ml" DOUBLE,
  "icv_ml" DOUBLE,
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
  CHECK ("la_volume_low_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("la_volume_high_ml" BETWEEN 0.0 AND 2000.0),
  CHECK ("brain_volume_ml" BETWEEN 1.0 AND 3000.0),
  CHECK ("icv_ml" BETWEEN 1.0 AND 4000.0),
  CHECK ("cpu_seconds" BETWEEN 0.0 AND 10000000.0),
  CHECK ((la_volume_ml IS NULL) <> (not_measured_reason IS NULL)),
  CHECK (la_volume_low_ml <= la_volume_high_ml),
  FOREIGN KEY ("scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("model_sha256") REFERENCES "models" ("model_sha256"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

INSERT INTO la_measurements BY NAME FROM la_measurements_before;

DROP TABLE la_measurements_before;
