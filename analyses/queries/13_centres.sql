-- What does each centre contribute, and with which scanners?
SELECT site, count(*) AS patients, string_agg(DISTINCT manufacturer, ', ' ORDER BY manufacturer) AS vendors,
       round(median(slice_thickness_mm), 1) AS median_slice_mm
FROM analysis_cohort
GROUP BY site
ORDER BY patients DESC, site;
