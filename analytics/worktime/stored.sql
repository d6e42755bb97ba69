-- The source of both.sql and cvat.sql for a month of stored events. Each person's past is one row that is not counted:
-- how far their work reached, by each reading of durations, and where they were. So months are computed one by one and
-- give what computing all of them at once would.
SELECT
    ifNull(user_id, 0) AS person, toUnixTimestamp64Milli(timestamp) AS t, t AS seq, content_key AS tie, 1 AS counted,
    scope, toInt64(duration) AS lasted, toInt64(ifNull(count, 1)) AS merged,
    project_id AS project, task_id AS task, job_id AS job,
    CAST(NULL, 'Nullable(Int64)') AS past_cvat,
    CAST(NULL, 'Nullable(Int64)') AS past_cut,
    CAST(NULL, 'Nullable(Int64)') AS past_all
FROM events
WHERE source = 'client' AND toYYYYMM(timestamp) = {month:UInt32}
UNION ALL
SELECT
    person, max(at) AS t, t AS seq, 0 AS tie, 0 AS counted,
    '' AS scope, 0 AS lasted, 1 AS merged,
    argMax(tuple(project_id), (at, content_key)).1 AS project,
    argMax(tuple(task_id), (at, content_key)).1 AS task,
    argMax(tuple(job_id), (at, content_key)).1 AS job,
    max(at + if(scope = 'change:frame', toInt64(duration), 0)) AS past_cvat,
    max(at + if(scope = 'change:frame', cut, 0)) AS past_cut,
    max(at + cut) AS past_all
FROM
(
    SELECT
        ifNull(user_id, 0) AS person, toUnixTimestamp64Milli(timestamp) AS at, scope, duration, content_key,
        project_id, task_id, job_id,
        least(toInt64(duration), {cap_ms:Int64} * greatest(toInt64(ifNull(count, 1)), 1)) AS cut
    FROM events
    WHERE source = 'client' AND toYYYYMM(timestamp) < {month:UInt32}
)
GROUP BY person
