-- What was rejected on review, and why?
SELECT target_kind, coalesce(reason, 'no reason given') AS reason, count(*) AS n
FROM latest_decision
WHERE decision = 'reject'
GROUP BY ALL
ORDER BY target_kind, n DESC, reason;
