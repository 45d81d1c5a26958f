-- How many patients died within 90 days, and what was their median NIHSS?
SELECT coalesce(death_days <= 90, FALSE) AS died_within_90_days, count(*) AS patients,
       median(nihss_admission) AS median_nihss
FROM analysis_cohort
WHERE cohort = 'clinical'
GROUP BY died_within_90_days
ORDER BY died_within_90_days;
