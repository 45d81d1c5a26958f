-- What are the median and quartiles of LA volume (mL) in each cohort?
SELECT cohort, count(la_volume_ml) AS measured,
       round(quantile_cont(la_volume_ml, 0.25), 2) AS q1_ml,
       round(median(la_volume_ml), 2) AS median_ml,
       round(quantile_cont(la_volume_ml, 0.75), 2) AS q3_ml
FROM analysis_cohort
GROUP BY cohort
ORDER BY cohort;
