-- How many patients of each cohort reach each step of the study?
SELECT cohort, position, step, sum(n)::BIGINT AS patients
FROM cohort_flow
WHERE reason IS NULL
GROUP BY cohort, position, step
ORDER BY cohort, position;
