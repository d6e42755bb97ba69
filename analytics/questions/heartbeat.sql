-- title: Who is alive
-- says: The last sign of life of each service.
SELECT
    service,
    argMax(healthy, at) AS healthy,
    max(beat_at) AS last_beat,
    round(dateDiff('second', max(beat_at), now64(3, 'UTC')) / 60, 1) AS minutes_ago,
    argMax(said, at) AS said
FROM heartbeats FINAL
GROUP BY service
ORDER BY minutes_ago DESC
