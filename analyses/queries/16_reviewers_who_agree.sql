-- How far do two reviewers agree beyond chance (Cohen's kappa of accept, reject, unsure; first pass)?
WITH pair AS (
    SELECT target_kind, a.reviewer AS reviewer_1, b.reviewer AS reviewer_2, a.decision AS d1, b.decision AS d2
    FROM reviewer_decision a
    JOIN reviewer_decision b USING (target_kind, target_id, pass_no)
    WHERE pass_no = 1 AND a.reviewer < b.reviewer
),
share AS (
    SELECT target_kind, reviewer_1, reviewer_2, count(*) AS n, avg((d1 = d2)::INT) AS observed,
           avg((d1 = 'accept')::INT) * avg((d2 = 'accept')::INT)
           + avg((d1 = 'reject')::INT) * avg((d2 = 'reject')::INT)
           + avg((d1 = 'unsure')::INT) * avg((d2 = 'unsure')::INT) AS by_chance
    FROM pair GROUP BY ALL
)
SELECT target_kind, reviewer_1, reviewer_2, n, round(observed, 3) AS agreement,
       round((observed - by_chance) / nullif(1 - by_chance, 0), 3) AS kappa
FROM share ORDER BY ALL;
