-- Do death and mRS contradict each other (mRS 6 without a death by day 100, or a death by day 80 without mRS 6)?
SELECT patient_id, mrs_3m, death_days, last_seen_days
FROM analysis_cohort
WHERE (mrs_3m = 6 AND (death_days IS NULL OR death_days > 100)) OR (mrs_3m < 6 AND death_days < 80)
ORDER BY patient_id;
