-- The views that analyses read. Each row rule stands here and nowhere else.

-- One row a review target, reviewer and pass: the reviewer's last decision that was not taken back. What
-- agreement between reviewers, and of one with himself, is computed from.
CREATE OR REPLACE VIEW reviewer_decision AS
SELECT q.* EXCLUDE (undoes)
FROM qc_reviews q
ANTI JOIN qc_reviews u
    ON u.undoes = q.reviewed_at AND u.target_kind = q.target_kind AND u.target_id = q.target_id
    AND u.reviewer = q.reviewer AND u.pass_no = q.pass_no
WHERE q.undoes IS NULL
QUALIFY row_number() OVER (
    PARTITION BY q.target_kind, q.target_id, q.reviewer, q.pass_no ORDER BY q.reviewed_at DESC
) = 1;

-- One row a review target: the decision that counts. A named adjudicator's goes before others', then the
-- latest. The parts of target_id are taken apart so that tables can be joined on their keys.
CREATE OR REPLACE VIEW latest_decision AS
SELECT target_kind, decision, reason, reviewer, reviewed_at, target_id,
       string_split(target_id, '|') AS target_key
FROM reviewer_decision
QUALIFY row_number() OVER (
    PARTITION BY target_kind, target_id
    ORDER BY is_adjudicator DESC, reviewed_at DESC, pass_no DESC, reviewer
) = 1;

-- One row a non-contrast CT that an active model looked at. Among models the kind counts first (a network's
-- measurement, then a simulated measurement, then an imported one), but a measurement that can be used goes
-- before one that cannot; among several of one model the latest run counts. A rejected volume is NULL here,
-- with the reason; the measurement itself stays in la_measurements.
CREATE OR REPLACE VIEW scan_la_volume AS
WITH candidate AS (
    SELECT s.patient_id, s.scan_id, s.days_from_onset, m.model_sha256, k.code AS model_kind,
           k.position AS kind_position, m.parameters_sha256, m.run_id, r.started_at,
           m.la_volume_ml, m.la_volume_calibrated_ml, m.la_volume_low_ml, m.la_volume_high_ml,
           m.not_measured_reason, m.brain_volume_ml, m.icv_ml, m.input_warning, m.mask_path, m.mask_sha256,
           CASE
               WHEN d.decision = 'reject' THEN 'rejected on review: ' || coalesce(d.reason, 'no reason given')
               WHEN e.decision = 'reject'
                   THEN 'scan rejected on review: ' || coalesce(e.reason, 'no reason given')
           END AS rejected_reason
    FROM la_measurements m
    JOIN models o ON o.model_sha256 = m.model_sha256 AND o.is_active
    JOIN lookup_model_kind k ON k.code = o.kind
    JOIN scans s ON s.scan_id = m.scan_id AND s.modality = 'CT' AND s.is_contrast_enhanced IS NOT TRUE
    LEFT JOIN runs r ON r.run_id = m.run_id
    LEFT JOIN latest_decision d
        ON d.target_kind = 'la_measurement' AND d.target_key[1] = m.scan_id
        AND d.target_key[2] = m.model_sha256 AND d.target_key[3] = m.parameters_sha256
    LEFT JOIN latest_decision e ON e.target_kind = 'scan' AND e.target_id = m.scan_id
)
SELECT patient_id, scan_id, days_from_onset,
       if(rejected_reason IS NULL, la_volume_ml, NULL) AS la_volume_ml,
       if(rejected_reason IS NULL, la_volume_calibrated_ml, NULL) AS la_volume_calibrated_ml,
       if(rejected_reason IS NULL, la_volume_low_ml, NULL) AS la_volume_low_ml,
       if(rejected_reason IS NULL, la_volume_high_ml, NULL) AS la_volume_high_ml,
       coalesce(rejected_reason, not_measured_reason) AS not_measured_reason,
       brain_volume_ml, icv_ml, input_warning, mask_path, mask_sha256,
       model_sha256, model_kind, kind_position, parameters_sha256, run_id
FROM candidate
QUALIFY row_number() OVER (
    PARTITION BY scan_id
    ORDER BY rejected_reason IS NULL AND la_volume_ml IS NOT NULL DESC,
             kind_position, started_at DESC NULLS LAST, parameters_sha256
) = 1;

-- One row a patient, every patient. The volume is that of the earliest non-contrast CT with a usable one;
-- patients without a volume have the reason of their earliest CT, or why there was no CT to measure.
CREATE OR REPLACE VIEW current_la_volume AS
WITH chosen AS (
    SELECT * FROM scan_la_volume
    QUALIFY row_number() OVER (
        PARTITION BY patient_id
        ORDER BY la_volume_ml IS NOT NULL DESC, kind_position, days_from_onset NULLS LAST, scan_id
    ) = 1
),
ct AS (
    SELECT patient_id,
           arg_min(scan_id, (coalesce(days_from_onset, 1e9), scan_id))
               FILTER (is_contrast_enhanced IS NOT TRUE) AS first_scan_id
    FROM scans WHERE modality = 'CT' GROUP BY patient_id
)
SELECT p.patient_id, coalesce(c.scan_id, ct.first_scan_id) AS scan_id,
       c.la_volume_ml, c.la_volume_calibrated_ml, c.la_volume_low_ml, c.la_volume_high_ml,
       CASE
           WHEN c.scan_id IS NOT NULL THEN c.not_measured_reason
           WHEN ct.patient_id IS NULL THEN 'no CT'
           WHEN ct.first_scan_id IS NULL THEN 'no CT without contrast agent'
           ELSE 'CT not processed by an active model'
       END AS not_measured_reason,
       c.brain_volume_ml, c.icv_ml, c.input_warning, c.mask_path, c.mask_sha256,
       c.model_sha256, c.model_kind, c.parameters_sha256, c.run_id
FROM patients p
LEFT JOIN chosen c USING (patient_id)
LEFT JOIN ct USING (patient_id);

-- One row a FLAIR: its WMH volume. A measured one goes before one that failed, then the latest run counts.
CREATE OR REPLACE VIEW scan_wmh_volume AS
SELECT w.scan_id, w.wmh_volume_ml, w.not_measured_reason, w.source, w.run_id
FROM wmh_measurements w
LEFT JOIN runs r ON r.run_id = w.run_id
QUALIFY row_number() OVER (
    PARTITION BY w.scan_id
    ORDER BY w.wmh_volume_ml IS NOT NULL DESC, r.started_at DESC NULLS LAST, w.source, w.parameters_sha256
) = 1;

-- One row a pair: its pseudo-label of the latest run, and whether it can be used: accepted by quality
-- control and not rejected on review, or sent to review and accepted there; never where its CT or FLAIR was
-- rejected.
CREATE OR REPLACE VIEW pair_label AS
SELECT l.ct_scan_id, l.flair_scan_id, l.label_volume_ml, l.wmh_volume_ml, l.status,
       CASE
           WHEN d.decision = 'reject' THEN 'rejected on review: ' || coalesce(d.reason, 'no reason given')
           WHEN e.target_id IS NOT NULL
               THEN 'scan rejected on review: ' || coalesce(e.reason, 'no reason given')
           ELSE l.reason
       END AS reason,
       l.run_id, l.parameters_sha256, l.label_path, l.label_sha256,
       e.target_id IS NULL AND CASE l.status
           WHEN 'accepted' THEN d.decision IS DISTINCT FROM 'reject'
           WHEN 'review' THEN d.decision IS NOT DISTINCT FROM 'accept'
           ELSE FALSE
       END AS is_usable
FROM pseudo_labels l
LEFT JOIN runs r ON r.run_id = l.run_id
LEFT JOIN latest_decision e
    ON e.target_kind = 'scan' AND e.decision = 'reject' AND e.target_id IN (l.ct_scan_id, l.flair_scan_id)
LEFT JOIN latest_decision d
    ON d.target_kind = 'pseudo_label' AND d.target_key[1] = l.ct_scan_id
    AND d.target_key[2] = l.flair_scan_id AND d.target_key[3] = l.parameters_sha256
QUALIFY row_number() OVER (
    PARTITION BY l.ct_scan_id, l.flair_scan_id ORDER BY r.started_at DESC NULLS LAST, l.parameters_sha256
) = 1;

-- One row a patient: first reading of the first and second rater (in order of pseudonyms over the whole
-- registry) of one CT: the CT of the current volume where it was rated, else the earliest rated CT.
-- The unnumbered columns are the first rater's, or the second's where the first did not rate the patient.
-- A maximum or total needs both scores.
CREATE OR REPLACE VIEW patient_fazekas AS
WITH rater AS (SELECT rater, row_number() OVER (ORDER BY rater) AS rater_no FROM fazekas_ratings GROUP BY rater),
rating AS (
    SELECT s.patient_id, f.scan_id, rater_no, fazekas_periventricular AS pv, fazekas_deep AS deep,
           CASE WHEN pv >= deep THEN pv WHEN deep > pv THEN deep END AS highest,
           c.scan_id IS NOT DISTINCT FROM f.scan_id AS is_current, s.days_from_onset
    FROM fazekas_ratings f
    JOIN rater USING (rater)
    JOIN scans s ON s.scan_id = f.scan_id AND s.modality = 'CT'
    LEFT JOIN current_la_volume c ON c.patient_id = s.patient_id
    WHERE rater_no <= 2 AND (pv IS NOT NULL OR deep IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY f.scan_id, rater_no ORDER BY f.pass_no) = 1
),
one_scan AS (
    SELECT * FROM rating
    QUALIFY dense_rank() OVER (
        PARTITION BY patient_id ORDER BY is_current DESC, days_from_onset NULLS LAST, scan_id
    ) = 1
),
wide AS (
    SELECT patient_id,
           max(pv) FILTER (rater_no = 1) AS fazekas_periventricular_r1,
           max(deep) FILTER (rater_no = 1) AS fazekas_deep_r1,
           max(highest) FILTER (rater_no = 1) AS fazekas_max_r1,
           max(pv) FILTER (rater_no = 2) AS fazekas_periventricular_r2,
           max(deep) FILTER (rater_no = 2) AS fazekas_deep_r2,
           max(highest) FILTER (rater_no = 2) AS fazekas_max_r2,
           arg_min(struct_pack(pv := pv, deep := deep, highest := highest), rater_no) AS counting
    FROM one_scan GROUP BY patient_id
)
SELECT * EXCLUDE (counting), counting.pv AS fazekas_periventricular, counting.deep AS fazekas_deep,
       counting.highest AS fazekas_max, counting.pv + counting.deep AS fazekas_total
FROM wide;

-- One row a patient, every patient: what analyses start from. wmh_volume_ml is that of the FLAIR paired
-- with the current CT, else of the patient's pair closest in time. Simulation truth is not here.
CREATE OR REPLACE VIEW analysis_cohort AS
WITH wmh AS (
    SELECT s.patient_id, w.wmh_volume_ml
    FROM pairs p
    JOIN scans s ON s.scan_id = p.ct_scan_id
    JOIN scan_wmh_volume w ON w.scan_id = p.flair_scan_id
    LEFT JOIN current_la_volume c ON c.patient_id = s.patient_id
    QUALIFY row_number() OVER (
        PARTITION BY s.patient_id
        ORDER BY w.wmh_volume_ml IS NOT NULL DESC, c.scan_id IS NOT DISTINCT FROM p.ct_scan_id DESC,
                 p.days_between NULLS LAST, p.ct_scan_id, p.flair_scan_id
    ) = 1
)
SELECT p.patient_id, p.cohort, p.is_simulated, p.site, p.sex,
       v.scan_id, s.manufacturer, s.model_name, s.kernel, s.slice_thickness_mm, s.days_from_onset,
       v.la_volume_ml, v.la_volume_calibrated_ml, v.la_volume_low_ml, v.la_volume_high_ml,
       v.not_measured_reason, v.brain_volume_ml, v.icv_ml, v.input_warning, v.model_sha256, v.model_kind,
       w.wmh_volume_ml,
       c.* EXCLUDE (patient_id, valid_from, superseded_by, run_id),
       o.* EXCLUDE (patient_id, valid_from, superseded_by, run_id),
       f.* EXCLUDE (patient_id)
FROM patients p
JOIN current_la_volume v USING (patient_id)
LEFT JOIN scans s ON s.scan_id = v.scan_id
LEFT JOIN wmh w ON w.patient_id = p.patient_id
LEFT JOIN clinical c ON c.patient_id = p.patient_id AND c.superseded_by IS NULL
LEFT JOIN outcomes o ON o.patient_id = p.patient_id AND o.superseded_by IS NULL
LEFT JOIN patient_fazekas f ON f.patient_id = p.patient_id;

-- One row a pair of a non-contrast CT and a FLAIR: LA volume on CT beside the pseudo-label's volume on the
-- same CT (NULL where the label cannot be used), the WMH volume on MRI, and the Dice with the label.
CREATE OR REPLACE VIEW agreement_pairs AS
SELECT t.patient_id, t.cohort, t.site, t.is_simulated, t.sex,
       p.ct_scan_id AS scan_id, p.flair_scan_id, p.days_between,
       s.manufacturer, s.model_name, s.kernel, s.slice_thickness_mm,
       v.la_volume_ml, v.not_measured_reason, v.model_sha256, v.model_kind,
       if(l.is_usable, l.label_volume_ml, NULL) AS label_volume_ml, l.status AS label_status,
       l.is_usable AS label_is_usable, w.wmh_volume_ml,
       if(l.is_usable, g.dsc, NULL) AS dsc, if(l.is_usable, g.hd95_mm, NULL) AS hd95_mm,
       if(l.is_usable, g.assd_mm, NULL) AS assd_mm, c.infarct_volume_ml, c.age_years
FROM pairs p
JOIN scans s ON s.scan_id = p.ct_scan_id AND s.is_contrast_enhanced IS NOT TRUE
JOIN patients t ON t.patient_id = s.patient_id
LEFT JOIN scan_la_volume v ON v.scan_id = p.ct_scan_id
LEFT JOIN pair_label l ON l.ct_scan_id = p.ct_scan_id AND l.flair_scan_id = p.flair_scan_id
LEFT JOIN scan_wmh_volume w ON w.scan_id = p.flair_scan_id
LEFT JOIN segmentation_scores g
    ON g.scan_id = p.ct_scan_id AND g.model_sha256 = v.model_sha256
    AND g.reference = 'label' AND g.reference_name = 'pseudo-label'
LEFT JOIN clinical c ON c.patient_id = t.patient_id AND c.superseded_by IS NULL;

-- How many patients of a cohort and centre reach each step (reason is NULL) and why the others do not
-- (n patients of that reason, out of those who reached the step before: step 2 of 1, 3 of 2, 4 of 1,
-- 5 of 4, 6 of 3).
CREATE OR REPLACE VIEW cohort_flow AS
WITH label AS (
    SELECT s.patient_id, bool_or(l.is_usable) AS is_usable,
           any_value(coalesce(l.reason, 'pseudo-label ' || l.status)) FILTER (NOT l.is_usable) AS reason
    FROM pairs p
    JOIN scans s ON s.scan_id = p.ct_scan_id
    LEFT JOIN pair_label l ON l.ct_scan_id = p.ct_scan_id AND l.flair_scan_id = p.flair_scan_id
    GROUP BY s.patient_id
),
patient AS (
    SELECT a.cohort, a.site,
           if(a.not_measured_reason IN ('no CT', 'no CT without contrast agent'), a.not_measured_reason, NULL)
               AS no_ct,
           a.not_measured_reason, a.mrs_3m, l.patient_id AS paired_id,
           if(l.is_usable, NULL, coalesce(l.reason, 'no pseudo-label made')) AS no_label
    FROM analysis_cohort a
    LEFT JOIN label l ON l.patient_id = a.patient_id
),
step AS (
    SELECT cohort, site, 1 AS position, 'patients' AS step, NULL AS reason FROM patient
    UNION ALL SELECT cohort, site, 2, 'non-contrast CT', no_ct FROM patient
    UNION ALL SELECT cohort, site, 3, 'LA volume measured', not_measured_reason FROM patient WHERE no_ct IS NULL
    UNION ALL SELECT cohort, site, 4, 'paired with a FLAIR', if(paired_id IS NULL, 'no pair', NULL) FROM patient
    UNION ALL SELECT cohort, site, 5, 'pseudo-label usable', no_label FROM patient WHERE paired_id IS NOT NULL
    UNION ALL SELECT cohort, site, 6, '3-month mRS known', if(mrs_3m IS NULL, '3-month mRS missing', NULL)
              FROM patient WHERE not_measured_reason IS NULL
)
SELECT cohort, site, position, step, reason, count(*) AS n
FROM step GROUP BY ALL
ORDER BY cohort, site, position, reason NULLS FIRST;
