-- title: Lost events
-- says: Events of CVAT by way, in the last day, that were received and neither stored nor accounted for, or rejected.
SELECT way, toFloat64(sum(rejected) + sum(unaccounted)) AS lost
FROM event_intake
WHERE day >= toDate(now() - INTERVAL 1 DAY)
GROUP BY way
ORDER BY way
