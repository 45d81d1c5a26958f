-- On which scans do the two readers' Fazekas grades differ by two or more?
SELECT a.scan_id, a.fazekas_deep AS deep_1, b.fazekas_deep AS deep_2,
       a.fazekas_periventricular AS periventricular_1, b.fazekas_periventricular AS periventricular_2
FROM fazekas_ratings a
JOIN fazekas_ratings b ON b.scan_id = a.scan_id AND b.pass_no = a.pass_no AND b.rater > a.rater
WHERE a.pass_no = 1
  AND greatest(abs(a.fazekas_deep - b.fazekas_deep),
               abs(a.fazekas_periventricular - b.fazekas_periventricular)) >= 2
ORDER BY a.scan_id;
