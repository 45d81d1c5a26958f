CREATE TABLE "lookup_cohort" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_modality" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_model_kind" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_label_status" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_decision" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_score_reference" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_target_kind" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "lookup_reperfusion_treatment" (code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL);

CREATE TABLE "patients" (
  "patient_id" VARCHAR NOT NULL,
  "cohort" VARCHAR NOT NULL DEFAULT 'clinical',
  "is_simulated" BOOLEAN NOT NULL DEFAULT FALSE,
  "site" VARCHAR,
  "sex" VARCHAR,
  PRIMARY KEY ("patient_id"),
  CHECK ("sex" IN ('female', 'male')),
  FOREIGN KEY ("cohort") REFERENCES "lookup_cohort" ("code")
);

CREATE TABLE "runs" (
  "run_id" VARCHAR NOT NULL,
  "command" VARCHAR NOT NULL,
  "started_at" TIMESTAMP NOT NULL,
  "package_version" VARCHAR,
  "git_commit" VARCHAR,
  "parameters" VARCHAR,
  "parameters_sha256" VARCHAR,
  "seed" BIGINT,
  "device" VARCHAR,
  "python_version" VARCHAR,
  PRIMARY KEY ("run_id")
);

CREATE TABLE "ingested" (
  "shard_sha256" VARCHAR NOT NULL,
  "file_name" VARCHAR NOT NULL,
  "size_bytes" BIGINT,
  "modified_ns" BIGINT,
  "kind" VARCHAR,
  "n_rows" BIGINT,
  "ingested_at" TIMESTAMP NOT NULL,
  PRIMARY KEY ("shard_sha256"),
  CHECK ("n_rows" BETWEEN 0.0 AND 1000000000000.0)
);

CREATE TABLE "models" (
  "model_sha256" VARCHAR NOT NULL,
  "name" VARCHAR,
  "kind" VARCHAR NOT NULL,
  "is_active" BOOLEAN NOT NULL DEFAULT FALSE,
  "card" VARCHAR,
  PRIMARY KEY ("model_sha256"),
  FOREIGN KEY ("kind") REFERENCES "lookup_model_kind" ("code")
);

CREATE TABLE "qc_reviews" (
  "target_kind" VARCHAR NOT NULL,
  "target_id" VARCHAR NOT NULL,
  "reviewer" VARCHAR NOT NULL,
  "pass_no" INTEGER NOT NULL,
  "reviewed_at" TIMESTAMP NOT NULL,
  "decision" VARCHAR NOT NULL,
  "reason" VARCHAR,
  "comment" VARCHAR,
  "is_adjudicator" BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY ("target_kind", "target_id", "reviewer", "pass_no", "reviewed_at"),
  CHECK ("pass_no" BETWEEN 1.0 AND 100.0),
  FOREIGN KEY ("target_kind") REFERENCES "lookup_target_kind" ("code"),
  FOREIGN KEY ("decision") REFERENCES "lookup_decision" ("code")
);

CREATE TABLE "schema_migrations" (
  "version" INTEGER NOT NULL,
  "applied_at" TIMESTAMP NOT NULL,
  "duckdb_version" VARCHAR,
  PRIMARY KEY ("version")
);

CREATE TABLE "scans" (
  "scan_id" VARCHAR NOT NULL,
  "patient_id" VARCHAR NOT NULL,
  "modality" VARCHAR NOT NULL,
  "is_contrast_enhanced" BOOLEAN,
  "sha256" VARCHAR,
  "manufacturer" VARCHAR,
  "model_name" VARCHAR,
  "kernel" VARCHAR,
  "kvp" DOUBLE,
  "slice_thickness_mm" DOUBLE,
  "pixel_spacing_mm" DOUBLE,
  "slice_spacing_mm" DOUBLE,
  "gantry_tilt_deg" DOUBLE,
  "days_from_onset" DOUBLE,
  "path" VARCHAR,
  PRIMARY KEY ("scan_id"),
  CHECK ("kvp" BETWEEN 40.0 AND 200.0),
  CHECK ("slice_thickness_mm" BETWEEN 0.05 AND 50.0),
  CHECK ("pixel_spacing_mm" BETWEEN 0.05 AND 10.0),
  CHECK ("slice_spacing_mm" BETWEEN 0.05 AND 50.0),
  CHECK ("gantry_tilt_deg" BETWEEN -60.0 AND 60.0),
  CHECK ("days_from_onset" BETWEEN -36525.0 AND 36525.0),
  FOREIGN KEY ("patient_id") REFERENCES "patients" ("patient_id"),
  FOREIGN KEY ("modality") REFERENCES "lookup_modality" ("code")
);

CREATE TABLE "clinical" (
  "patient_id" VARCHAR NOT NULL,
  "valid_from" TIMESTAMP NOT NULL,
  "superseded_by" TIMESTAMP,
  "age_years" DOUBLE,
  "hypertension" BOOLEAN,
  "diabetes" BOOLEAN,
  "hyperlipidaemia" BOOLEAN,
  "smoking" BOOLEAN,
  "atrial_fibrillation" BOOLEAN,
  "prior_stroke" BOOLEAN,
  "bmi_kg_m2" DOUBLE,
  "systolic_bp_mmhg" DOUBLE,
  "glucose_mmol_l" DOUBLE,
  "nihss_admission" INTEGER,
  "pre_stroke_mrs" INTEGER,
  "reperfusion_treatment" VARCHAR,
  "infarct_volume_ml" DOUBLE,
  "infarct_volume_mni_ml" DOUBLE,
  "onset_to_ct_hours" DOUBLE,
  "run_id" VARCHAR,
  PRIMARY KEY ("patient_id", "valid_from"),
  CHECK ("age_years" BETWEEN 0.0 AND 120.0),
  CHECK ("bmi_kg_m2" BETWEEN 5.0 AND 150.0),
  CHECK ("systolic_bp_mmhg" BETWEEN 30.0 AND 350.0),
  CHECK ("glucose_mmol_l" BETWEEN 0.5 AND 110.0),
  CHECK ("nihss_admission" BETWEEN 0.0 AND 42.0),
  CHECK ("pre_stroke_mrs" IN (0, 1, 2, 3, 4, 5)),
  CHECK ("infarct_volume_ml" BETWEEN 0.0 AND 1500.0),
  CHECK ("infarct_volume_mni_ml" BETWEEN 0.0 AND 2000.0),
  CHECK ("onset_to_ct_hours" BETWEEN 0.0 AND 9000.0),
  CHECK (superseded_by > valid_from),
  FOREIGN KEY ("patient_id") REFERENCES "patients" ("patient_id"),
  FOREIGN KEY ("reperfusion_treatment") REFERENCES "lookup_reperfusion_treatment" ("code"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "outcomes" (
  "patient_id" VARCHAR NOT NULL,
  "valid_from" TIMESTAMP NOT NULL,
  "superseded_by" TIMESTAMP,
  "mrs_3m" INTEGER,
  "mrs_discharge" INTEGER,
  "death_days" DOUBLE,
  "recurrence_days" DOUBLE,
  "last_seen_days" DOUBLE,
  "run_id" VARCHAR,
  PRIMARY KEY ("patient_id", "valid_from"),
  CHECK ("mrs_3m" IN (0, 1, 2, 3, 4, 5, 6)),
  CHECK ("mrs_discharge" IN (0, 1, 2, 3, 4, 5, 6)),
  CHECK ("death_days" BETWEEN 0.0 AND 36525.0),
  CHECK ("recurrence_days" BETWEEN 0.0 AND 36525.0),
  CHECK ("last_seen_days" BETWEEN 0.0 AND 36525.0),
  CHECK (superseded_by > valid_from),
  FOREIGN KEY ("patient_id") REFERENCES "patients" ("patient_id"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "results" (
  "result_id" VARCHAR NOT NULL,
  "run_id" VARCHAR NOT NULL,
  "analysis" VARCHAR NOT NULL,
  "specification" VARCHAR,
  "term" VARCHAR,
  "population" VARCHAR,
  "outcome" VARCHAR,
  "exposure" VARCHAR,
  "statistic" VARCHAR NOT NULL,
  "estimate" DOUBLE,
  "ci_low" DOUBLE,
  "ci_high" DOUBLE,
  "p_value" DOUBLE,
  "n" INTEGER,
  "m" INTEGER,
  "unit" VARCHAR,
  "is_simulated" BOOLEAN NOT NULL,
  PRIMARY KEY ("result_id"),
  CHECK (isfinite("estimate")),
  CHECK (isfinite("ci_low")),
  CHECK (isfinite("ci_high")),
  CHECK ("p_value" BETWEEN 0.0 AND 1.0),
  CHECK ("n" BETWEEN 0.0 AND 2000000000.0),
  CHECK ("m" BETWEEN 0.0 AND 1000000.0),
  CHECK (ci_low <= ci_high),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "series_choices" (
  "series_uid_hash" VARCHAR NOT NULL,
  "scan_id" VARCHAR,
  "chosen" BOOLEAN NOT NULL,
  "rule" VARCHAR,
  "reason" VARCHAR,
  "modality" VARCHAR,
  "n_slices" INTEGER,
  "run_id" VARCHAR,
  PRIMARY KEY ("series_uid_hash"),
  CHECK ("n_slices" BETWEEN 0.0 AND 100000.0),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "simulation_truth" (
  "patient_id" VARCHAR NOT NULL,
  "simulator_version" VARCHAR,
  "seed" BIGINT,
  "anatomy" VARCHAR,
  "tissue_volume_ml" DOUBLE,
  "visible_la_volume_ml" DOUBLE,
  "infarct_volume_ml" DOUBLE,
  "true_log_or_per_sd" DOUBLE,
  "sd_ln_tissue_volume" DOUBLE,
  "age_years" DOUBLE,
  "mri_selected" BOOLEAN,
  "run_id" VARCHAR,
  PRIMARY KEY ("patient_id"),
  CHECK ("tissue_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("visible_la_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("infarct_volume_ml" BETWEEN 0.0 AND 1500.0),
  CHECK ("true_log_or_per_sd" BETWEEN -20.0 AND 20.0),
  CHECK ("sd_ln_tissue_volume" BETWEEN 0.0001 AND 20.0),
  CHECK ("age_years" BETWEEN 0.0 AND 120.0),
  FOREIGN KEY ("patient_id") REFERENCES "patients" ("patient_id"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "fazekas_ratings" (
  "scan_id" VARCHAR NOT NULL,
  "rater" VARCHAR NOT NULL,
  "pass_no" INTEGER NOT NULL DEFAULT 1,
  "fazekas_periventricular" INTEGER,
  "fazekas_deep" INTEGER,
  "run_id" VARCHAR,
  PRIMARY KEY ("scan_id", "rater", "pass_no"),
  CHECK ("pass_no" BETWEEN 1.0 AND 100.0),
  CHECK ("fazekas_periventricular" IN (0, 1, 2, 3)),
  CHECK ("fazekas_deep" IN (0, 1, 2, 3)),
  FOREIGN KEY ("scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

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
  PRIMARY KEY ("scan_id", "model_sha256", "parameters_sha256"),
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

CREATE TABLE "pairs" (
  "ct_scan_id" VARCHAR NOT NULL,
  "flair_scan_id" VARCHAR NOT NULL,
  "days_between" DOUBLE,
  PRIMARY KEY ("ct_scan_id", "flair_scan_id"),
  CHECK ("days_between" BETWEEN 0.0 AND 36525.0),
  FOREIGN KEY ("ct_scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("flair_scan_id") REFERENCES "scans" ("scan_id")
);

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
  CHECK (label_volume_ml IS NOT NULL OR reason IS NOT NULL),
  FOREIGN KEY ("ct_scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("flair_scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("status") REFERENCES "lookup_label_status" ("code"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "segmentation_scores" (
  "scan_id" VARCHAR NOT NULL,
  "model_sha256" VARCHAR NOT NULL,
  "reference" VARCHAR NOT NULL,
  "reference_name" VARCHAR NOT NULL,
  "dsc" DOUBLE,
  "predicted_volume_ml" DOUBLE,
  "reference_volume_ml" DOUBLE,
  "volume_error_ml" DOUBLE,
  "hd95_mm" DOUBLE,
  "assd_mm" DOUBLE,
  "run_id" VARCHAR,
  PRIMARY KEY ("scan_id", "model_sha256", "reference", "reference_name"),
  CHECK ("dsc" BETWEEN 0.0 AND 1.0),
  CHECK ("predicted_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("reference_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ("volume_error_ml" BETWEEN -1000.0 AND 1000.0),
  CHECK ("hd95_mm" BETWEEN 0.0 AND 1000.0),
  CHECK ("assd_mm" BETWEEN 0.0 AND 1000.0),
  FOREIGN KEY ("scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("model_sha256") REFERENCES "models" ("model_sha256"),
  FOREIGN KEY ("reference") REFERENCES "lookup_score_reference" ("code"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);

CREATE TABLE "wmh_measurements" (
  "scan_id" VARCHAR NOT NULL,
  "source" VARCHAR NOT NULL,
  "parameters_sha256" VARCHAR NOT NULL,
  "wmh_volume_ml" DOUBLE,
  "not_measured_reason" VARCHAR,
  "tool_version" VARCHAR,
  "is_transient" BOOLEAN NOT NULL DEFAULT FALSE,
  "run_id" VARCHAR,
  PRIMARY KEY ("scan_id", "source", "parameters_sha256"),
  CHECK ("wmh_volume_ml" BETWEEN 0.0 AND 1000.0),
  CHECK ((wmh_volume_ml IS NULL) <> (not_measured_reason IS NULL)),
  FOREIGN KEY ("scan_id") REFERENCES "scans" ("scan_id"),
  FOREIGN KEY ("run_id") REFERENCES "runs" ("run_id")
);
