-- Which model's volumes are current, and for how many patients?
SELECT m.name, m.kind, left(m.model_sha256, 12) AS sha256, count(*) AS patients
FROM current_la_volume v
JOIN models m USING (model_sha256)
WHERE v.la_volume_ml IS NOT NULL
GROUP BY m.name, m.kind, m.model_sha256
ORDER BY patients DESC, sha256;
