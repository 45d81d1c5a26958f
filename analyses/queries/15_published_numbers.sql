-- Which common odds ratios were printed, for whom, and by which run?
SELECT r.result_id, r.analysis, r.specification, r.term, r.population, round(r.estimate, 2) AS odds_ratio,
       round(r.ci_low, 2) AS ci_low, round(r.ci_high, 2) AS ci_high, r.n, r.is_simulated, u.started_at
FROM results r
JOIN runs u USING (run_id)
WHERE r.statistic = 'cOR'
ORDER BY u.started_at, r.result_id;
