-- The source of both.sql and cvat.sql for a month of stored events. Each person's past is one row that is not counted:
-- how far their work reached, by each reading of durations, and where they were. So months are computed one by one and
-- give what computing all of them at once would.
SELECT
    person, toUnixTimestamp64Milli(timestamp) AS t, t AS seq, content_key AS tie, 1 AS counted,
    scope, toInt64(duration) AS lasted, toInt64(ifNull(count, 1)) AS merged,
    project_id AS project, task_id AS task, job_id AS job,
    CAST(NULL, 'Nullable(Int64)') AS past_cvat,
    CAST(NULL, 'Nullable(Int64)') AS past_cut,
    CAST(NULL, 'Nullable(Int64)') AS past_all
FROM events
WHERE series = '' AND toYYYYMM(timestamp) = {month:UInt32}
UNION ALL
SELECT
    person, max(last_t) AS t, t AS seq, 0 AS tie, 0 AS counted,
    '' AS scope, 0 AS lasted, 1 AS merged,
    argMax(tuple(r.project), (last_t, last_tie)).1 AS project,
    argMax(tuple(r.task), (last_t, last_tie)).1 AS task,
    argMax(tuple(r.job), (last_t, last_tie)).1 AS job,
    max(r.past_cvat) AS past_cvat,
    max(r.past_cut) AS past_cut,
    max(r.past_all) AS past_all
FROM worktime_reach AS r
WHERE month < {month:UInt32}
GROUP BY person
