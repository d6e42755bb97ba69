-- title: Lost webhooks
-- says: Webhooks of the last day that never came and were healed by reconciliation, and letters that died.
SELECT what, toFloat64(sum(events)) AS lost
FROM
(
    SELECT 'lost and healed' AS what, countIf(source = 'reconcile') AS events
    FROM deliveries FINAL WHERE received_at >= now() - INTERVAL 1 DAY
    UNION ALL
    SELECT 'dead letters' AS what, countIf(state = 'dead') AS events
    FROM deliveries FINAL WHERE received_at >= now() - INTERVAL 1 DAY
)
GROUP BY what
ORDER BY what
