-- title: Webhook health
-- says: Events per day: brought by webhooks, lost and healed by reconciliation, late, dead; and how fast they acted.
SELECT
    toDateTime(toDate(d.received_at), 'UTC') AS time,
    countIf(d.source = 'webhook') AS by_webhook,
    countIf(d.source = 'reconcile') AS lost_and_healed,
    countIf(d.source = 'webhook' AND dateDiff('second', d.happened_at, d.received_at) > 60) AS late,
    countIf(d.state = 'dead') AS dead,
    countIf(d.state IN ('new', 'pending')) AS waiting,
    round(quantileIf(0.5)(dateDiff('millisecond', d.happened_at, d.received_at) / 1000, d.source = 'webhook'), 2)
        AS median_delivery_s,
    round(quantileIf(0.95)(dateDiff('millisecond', d.received_at, d.processed_at) / 1000, d.state = 'done'), 1)
        AS p95_until_answered_s
FROM deliveries AS d FINAL
WHERE d.source != 'platform' AND d.received_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
GROUP BY time
ORDER BY time
