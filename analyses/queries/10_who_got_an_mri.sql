-- Who of the clinical cohort got an MRI: how do those with and without differ in age and NIHSS?
SELECT wmh_volume_ml IS NOT NULL AS has_mri, count(*) AS patients,
       round(avg(age_years), 1) AS mean_age, median(nihss_admission) AS median_nihss
FROM analysis_cohort
WHERE cohort = 'clinical'
GROUP BY has_mri
ORDER BY has_mri;
