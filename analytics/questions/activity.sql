-- title: Activity in CVAT
-- says: Events per hour by source.
SELECT hour AS time, source, sum(events) AS happened, round(sum(lasted_ms) / 1000, 1) AS lasted_s
FROM events_hourly
WHERE hour BETWEEN toDateTime({since:DateTime64(3)}) AND toDateTime({until:DateTime64(3)})
GROUP BY time, source
ORDER BY time, source
