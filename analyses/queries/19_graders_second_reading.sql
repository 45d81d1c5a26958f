-- How far do a reader's first and second Fazekas scores agree (quadratic weighted kappa of 0 to 3)?
WITH score AS (
    UNPIVOT (SELECT scan_id, rater, pass_no, fazekas_periventricular, fazekas_deep FROM fazekas_ratings)
    ON fazekas_periventricular, fazekas_deep INTO NAME score VALUE grade
),
pair AS (
    SELECT score, rater, a.grade AS g1, b.grade AS g2
    FROM score a JOIN score b USING (score, scan_id, rater) WHERE a.pass_no = 1 AND b.pass_no = 2
)
SELECT score, rater, count(*) AS n,
       round(1 - avg((g1 - g2) ** 2)
             / nullif(var_pop(g1) + var_pop(g2) + (avg(g1) - avg(g2)) ** 2, 0), 3) AS quadratic_kappa
FROM pair GROUP BY ALL ORDER BY ALL;
