-- Why do some patients have no LA volume?
SELECT cohort, not_measured_reason, count(*) AS patients
FROM analysis_cohort
WHERE la_volume_ml IS NULL
GROUP BY cohort, not_measured_reason
ORDER BY cohort, patients DESC, not_measured_reason;
