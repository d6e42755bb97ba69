-- title: GPU use
-- says: Hours in which steps held a slot of the pool 'gpu', by day and stage.
SELECT
    toDateTime(toDate(started_at), 'UTC') AS time,
    stage,
    count() AS steps,
    round(sum(dateDiff('millisecond', started_at, ended_at)) / 3600000, 3) AS gpu_hours,
    round(sum(dateDiff('millisecond', started_at, ended_at)) / 86400000, 4) AS share_of_day
FROM steps FINAL
WHERE gpu = 1 AND ended_at IS NOT NULL AND started_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY time, stage
ORDER BY time, stage
