-- title: Runs
-- says: Runs per job: how many, how many failed, how long they took and waited.
SELECT
    job,
    count() AS runs,
    countIf(status = 'FAILURE') AS failed,
    countIf(status IN ('QUEUED', 'STARTING', 'STARTED', 'NOT_STARTED')) AS unfinished,
    round(quantileIf(0.5)(dateDiff('millisecond', started_at, ended_at) / 1000, ended_at IS NOT NULL), 1) AS median_s,
    round(quantileIf(0.95)(dateDiff('millisecond', started_at, ended_at) / 1000, ended_at IS NOT NULL), 1) AS p95_s,
    round(quantileIf(0.95)(dateDiff('millisecond', queued_at, started_at) / 1000, started_at IS NOT NULL), 1)
        AS p95_wait_s,
    max(ended_at) AS last_end
FROM runs FINAL
WHERE queued_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY job
ORDER BY runs DESC
