-- How is the 3-month mRS distributed, with and without much LA (above or below the median)?
WITH halves AS (
    SELECT mrs_3m, la_volume_ml > median(la_volume_ml) OVER () AS above_median
    FROM analysis_cohort
    WHERE cohort = 'clinical' AND la_volume_ml IS NOT NULL AND mrs_3m IS NOT NULL
)
SELECT mrs_3m, count(*) FILTER (NOT above_median) AS below_median, count(*) FILTER (above_median) AS above_median
FROM halves
GROUP BY mrs_3m
ORDER BY mrs_3m;
