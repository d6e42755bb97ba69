-- A month of the table worktime_reach: how far the work of each person reached in it, and where they were last.
SELECT
    {month:UInt32} AS month,
    who AS person,
    at AS last_t,
    last.1 AS last_tie, last.2 AS project, last.3 AS task, last.4 AS job,
    past_cvat, past_cut, past_all,
    now64(3, 'UTC') AS computed_at
FROM
(
    SELECT
        person AS who, max(toUnixTimestamp64Milli(timestamp)) AS at,
        argMax((content_key, project_id, task_id, job_id), (timestamp, content_key)) AS last,
        max(toUnixTimestamp64Milli(timestamp) + if(scope = 'change:frame', toInt64(duration), 0)) AS past_cvat,
        max(toUnixTimestamp64Milli(timestamp) + if(scope = 'change:frame', cut, 0)) AS past_cut,
        max(toUnixTimestamp64Milli(timestamp) + cut) AS past_all
    FROM
    (
        SELECT
            person, timestamp, scope, duration, content_key, project_id, task_id, job_id,
            least(toInt64(duration), {cap_ms:Int64} * greatest(toInt64(ifNull(count, 1)), 1)) AS cut
        FROM events
        WHERE series = '' AND toYYYYMM(timestamp) = {month:UInt32}
    )
    GROUP BY who
)
