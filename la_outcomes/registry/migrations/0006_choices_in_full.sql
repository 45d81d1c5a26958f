-- What a series was chosen by, and what to look at before it is passed on.
CREATE TEMP TABLE series_choices_before AS FROM series_choices;

DROP TABLE series_choices;

CREATE TABLE "series_choices" (
  "series_uid_hash" VARCHAR NOT NULL,
  "scan_id" VARCHAR,
  "chosen" BOOLEAN NOT NULL,
  "rule" VARCHAR,
  "reason" VARCHAR,
  "modality" VARCHAR,
  "n_slices" INTEGER,
  "kernel" VARCHAR,
  "slice_thickness_mm" DOUBLE,
  "is_contrast_enhanced" BOOLEAN,
  "warning" VARCHAR,
  "run_id" VARCHAR,
  PRIMARY KEY ("series_uid_hash"),
  CHECK ("n_slices" BETWEEN 0.0 AND 100000.0),
  CHECK ("slice_thickness_mm" BETWEEN 0.0 AND 100000.0),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

INSERT INTO series_choices BY NAME FROM series_choices_before;

DROP TABLE series_choices_before;
