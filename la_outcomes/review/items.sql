-- What can be looked at: the latest segmentation of each CT by each active model, and the latest pseudo-label
-- of each pair. Reviews are left out on purpose: reviewers are blinded to each other.
WITH scan AS (
    SELECT s.scan_id, s.patient_id, p.cohort, p.site, p.is_simulated, s.manufacturer
    FROM scans s JOIN patients p USING (patient_id)
),
measured AS (
    SELECT 'la_measurement' AS kind, concat_ws('|', m.scan_id, m.model_sha256, m.parameters_sha256) AS target_id,
           scan.*, o.name AS model, m.la_volume_ml, m.icv_ml, g.dsc, m.mask_path, m.mask_sha256,
           CASE WHEN m.la_volume_ml IS NULL THEN 'not measured'
                WHEN m.input_warning IS NOT NULL THEN 'with a warning' ELSE 'measured' END AS status,
           coalesce(m.not_measured_reason, m.input_warning) AS reason,
           m.input_warning IS NOT NULL AS has_warning
    FROM la_measurements m
    JOIN models o ON o.model_sha256 = m.model_sha256 AND o.is_active AND o.kind = 'segmentation'
    JOIN scan USING (scan_id)
    LEFT JOIN runs r ON r.run_id = m.run_id
    LEFT JOIN segmentation_scores g
        ON g.scan_id = m.scan_id AND g.model_sha256 = m.model_sha256
        AND g.reference = 'label' AND g.reference_name = 'pseudo-label'
    QUALIFY row_number() OVER (
        PARTITION BY m.scan_id, m.model_sha256 ORDER BY r.started_at DESC NULLS LAST, m.parameters_sha256
    ) = 1
),
labelled AS (
    SELECT 'pseudo_label' AS kind,
           concat_ws('|', l.ct_scan_id, l.flair_scan_id, l.parameters_sha256) AS target_id,
           scan.*, l.flair_scan_id, l.label_volume_ml, l.csf_correlation, l.brain_dice, l.jacobian_p01,
           l.jacobian_p99, l.label_outside_brain_fraction, l.label_path AS mask_path,
           l.label_sha256 AS mask_sha256, l.transform_path, l.status, l.reason, FALSE AS has_warning
    FROM pseudo_labels l
    JOIN scan ON scan.scan_id = l.ct_scan_id
    LEFT JOIN runs r ON r.run_id = l.run_id
    QUALIFY row_number() OVER (
        PARTITION BY l.ct_scan_id, l.flair_scan_id ORDER BY r.started_at DESC NULLS LAST, l.parameters_sha256
    ) = 1
)
FROM measured UNION ALL BY NAME FROM labelled
