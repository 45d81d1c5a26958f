-- For how many patients of the clinical cohort is each main covariate missing?
SELECT count(*) AS patients,
       count(*) - count(nihss_admission) AS no_nihss,
       count(*) - count(pre_stroke_mrs) AS no_pre_stroke_mrs,
       count(*) - count(glucose_mmol_l) AS no_glucose,
       count(*) - count(infarct_volume_ml) AS no_infarct_volume,
       count(*) - count(mrs_3m) AS no_mrs_3m
FROM analysis_cohort
WHERE cohort = 'clinical';
