-- Labels: carried over native volume, how the infarct was known, warnings; the licence of a WMH tool.
CREATE TEMP TABLE pseudo_labels_before AS FROM pseudo_labels;

DROP TABLE pseudo_labels;

CREATE TABLE "pseudo_labels" (
  "ct_scan_id" VARCHAR NOT NULL,
  "flair_scan_id" VARCHAR NOT NULL,
  "parameters_sha256" VARCHAR NOT NULL,
  "wmh_volume_ml" DOUBLE,
  "carried_volume_ml" DOUBLE,
  "label_volume_ml" DOUBLE,
  "infarct_removed_ml" DOUBLE,
  "csf_correlation" DOUBLE,
  "brain_dice" DOUBLE,
  "jacobian_p01" DOUBLE,
  "jacobian_p99" DOUBLE,
  "label_outside_brain_fraction" DOUBLE,
  "status" VARCHAR NOT NULL,
  "reason" VARCHAR,
  "label_path" VARCHAR,
  "label_sha256" VARCHAR,
  "transform_path" VARCHAR,
  "picture_path" VARCHAR,
  "cpu_seconds" DOUBLE,
  "is_transient" BOOLEAN NOT NULL DEFAULT FALSE,
  "run_id" VARCHAR,
  "label_to_wmh_ratio" DOUBLE,
  "csf_shift_mm" DOUBLE,
  "infarct_source" VARCHAR,
  "input_warning" VARCHAR,
  PRIMARY KEY ("ct_scan_id", "flair_scan_id", "parameters_sha256"),
  CHECK ("wmh_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("carried_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("label_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("infarct_removed_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("csf_correlation" BETWEEN -1.0 AND 1.0),
  CHECK ("brain_dice" BETWEEN 0.0 AND 1.0),
  CHECK ("jacobian_p01" BETWEEN -1000.0 AND 1000.0),
  CHECK ("jacobian_p99" BETWEEN -1000.0 AND 1000.0),
  CHECK ("label_outside_brain_fraction" BETWEEN 0.0 AND 1.0),
  CHECK ("cpu_seconds" BETWEEN 0.0 AND 10000000.0),
  CHECK ("label_to_wmh_ratio" BETWEEN 0.0 AND 1000.0),
  CHECK ("csf_shift_mm" BETWEEN 0.0 AND 1000.0),
  CHECK (label_volume_ml IS NOT NULL OR reason IS NOT NULL),
  FOREIGN KEY ("ct_scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("flair_scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("status") REFERENCES "lookup_label_status" ("code"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

INSERT INTO pseudo_labels BY NAME FROM pseudo_labels_before;

DROP TABLE pseudo_labels_before;

ALTER TABLE wmh_measurements ADD COLUMN tool_licence VARCHAR;
