-- How does LA volume rise with age, in bands of ten years?
SELECT 10 * floor(age_years / 10)::INTEGER AS age_from, count(*) AS patients,
       round(median(la_volume_ml), 2) AS median_ml
FROM analysis_cohort
WHERE la_volume_ml IS NOT NULL AND age_years IS NOT NULL
GROUP BY age_from
ORDER BY age_from;
