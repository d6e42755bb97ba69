-- title: Time in each stage
-- says: How long a stage takes once it runs, and how long it waited for a slot after its run was queued.
SELECT
    s.stage AS stage,
    count() AS steps,
    countIf(s.status = 'FAILURE') AS failed,
    round(quantile(0.5)(dateDiff('millisecond', s.started_at, s.ended_at) / 1000), 1) AS median_s,
    round(quantile(0.95)(dateDiff('millisecond', s.started_at, s.ended_at) / 1000), 1) AS p95_s,
    round(quantile(0.5)(dateDiff('millisecond', r.queued_at, s.started_at) / 1000), 1) AS median_wait_s,
    round(quantile(0.95)(dateDiff('millisecond', r.queued_at, s.started_at) / 1000), 1) AS p95_wait_s
FROM (SELECT * FROM steps FINAL WHERE stage != '' AND ended_at IS NOT NULL) AS s
LEFT JOIN (SELECT run_id, queued_at FROM runs FINAL) AS r ON r.run_id = s.run_id
WHERE s.started_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR s.survey = {survey:String})
GROUP BY stage
ORDER BY median_s DESC
