-- How far does each reviewer agree with himself in the second pass (Cohen's kappa)?
WITH pair AS (
    SELECT target_kind, reviewer, a.decision AS d1, b.decision AS d2
    FROM reviewer_decision a
    JOIN reviewer_decision b USING (target_kind, target_id, reviewer)
    WHERE a.pass_no = 1 AND b.pass_no = 2
),
share AS (
    SELECT target_kind, reviewer, count(*) AS n, avg((d1 = d2)::INT) AS observed,
           avg((d1 = 'accept')::INT) * avg((d2 = 'accept')::INT)
           + avg((d1 = 'reject')::INT) * avg((d2 = 'reject')::INT)
           + avg((d1 = 'unsure')::INT) * avg((d2 = 'unsure')::INT) AS by_chance
    FROM pair GROUP BY ALL
)
SELECT target_kind, reviewer, n, round(observed, 3) AS agreement,
       round((observed - by_chance) / nullif(1 - by_chance, 0), 3) AS kappa
FROM share ORDER BY ALL;
