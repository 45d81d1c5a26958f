-- How far do two readers' Fazekas scores agree (quadratic weighted kappa of 0 to 3; first reading)?
WITH score AS (
    UNPIVOT (SELECT scan_id, rater, fazekas_periventricular, fazekas_deep FROM fazekas_ratings WHERE pass_no = 1)
    ON fazekas_periventricular, fazekas_deep INTO NAME score VALUE grade
),
pair AS (
    SELECT score, a.rater AS rater_1, b.rater AS rater_2, a.grade AS g1, b.grade AS g2
    FROM score a JOIN score b USING (score, scan_id) WHERE a.rater < b.rater
)
SELECT score, rater_1, rater_2, count(*) AS n,
       round(1 - avg((g1 - g2) ** 2)
             / nullif(var_pop(g1) + var_pop(g2) + (avg(g1) - avg(g2)) ** 2, 0), 3) AS quadratic_kappa
FROM pair GROUP BY ALL ORDER BY ALL;
