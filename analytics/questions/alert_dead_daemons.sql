-- title: Dead daemon
-- says: Minutes since each service last gave a healthy sign of life.
SELECT service, round(dateDiff('second', maxIf(ifNull(beat_at, at), healthy = 1), now64(3, 'UTC')) / 60, 1) AS minutes_silent
FROM heartbeats FINAL
GROUP BY service
ORDER BY minutes_silent DESC
