-- A month of the table worktime_reach: how far the work of each person reached in it, and where they were last.
SELECT
    {month:UInt32} AS month,
    who AS person,
    max(at) AS last_t,
    argMax(content_key, (at, content_key)) AS last_tie,
    argMax(tuple(project_id), (at, content_key)).1 AS project,
    argMax(tuple(task_id), (at, content_key)).1 AS task,
    argMax(tuple(job_id), (at, content_key)).1 AS job,
    max(at + if(scope = 'change:frame', toInt64(duration), 0)) AS past_cvat,
    max(at + if(scope = 'change:frame', cut, 0)) AS past_cut,
    max(at + cut) AS past_all,
    now64(3, 'UTC') AS computed_at
FROM
(
    SELECT
        person AS who, toUnixTimestamp64Milli(timestamp) AS at, scope, duration, content_key, project_id, task_id, job_id,
        least(toInt64(duration), {cap_ms:Int64} * greatest(toInt64(ifNull(count, 1)), 1)) AS cut
    FROM events
    WHERE series = '' AND toYYYYMM(timestamp) = {month:UInt32}
)
GROUP BY who
