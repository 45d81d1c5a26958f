-- How many patients are in each cohort, from how many centres, and how many of them are simulated?
SELECT cohort, count(*) AS patients, count(DISTINCT site) AS centres, count(*) FILTER (is_simulated) AS simulated
FROM patients
GROUP BY cohort
ORDER BY cohort;
