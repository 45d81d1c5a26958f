-- How far is LA volume on CT from WMH volume on MRI, by vendor?
SELECT manufacturer, count(*) AS pairs,
       round(corr(la_volume_ml, wmh_volume_ml), 3) AS pearson_r,
       round(avg(la_volume_ml - wmh_volume_ml), 2) AS mean_difference_ml
FROM agreement_pairs
WHERE la_volume_ml IS NOT NULL AND wmh_volume_ml IS NOT NULL
GROUP BY manufacturer
ORDER BY manufacturer;
