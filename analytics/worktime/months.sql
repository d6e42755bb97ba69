-- Months of the table worktime: both algorithms over the stored events, beside what CVAT itself has booked. The same
-- event is in the table twice until parts are merged, if two loads have brought it at once: DISTINCT.
-- A browser that sends a batch again makes CVAT book it again, under another request: same person, place, time and sum.
SELECT
    day, person AS user_id, project AS project_id, task AS task_id, job AS job_id,
    sum(events) AS events, sum(sessions) AS sessions,
    sum(reported) AS reported_ms, sum(repeated) AS repeated_ms,
    sum(cvat_ms) AS cvat_ms, sum(frames_ms) AS frames_ms, sum(inside_ms) AS inside_ms,
    sum(thinking_ms) AS thinking_ms, sum(moved_ms) AS moved_ms, sum(ours_ms) AS ours_ms,
    fromUnixTimestamp64Milli(min(first_t), 'UTC') AS first_at,
    fromUnixTimestamp64Milli(max(last_t), 'UTC') AS last_at,
    now64(3, 'UTC') AS computed_at
FROM
(
    SELECT *, toInt64(0) AS reported, toInt64(0) AS repeated FROM ($both)
    UNION ALL
    SELECT
        toDate(timestamp) AS day, ifNull(user_id, 0) AS person, project_id AS project, task_id AS task, job_id AS job,
        toInt64(0) AS events, toInt64(0) AS sessions, toInt64(0) AS cvat_ms, toInt64(0) AS frames_ms,
        toInt64(0) AS inside_ms, toInt64(0) AS thinking_ms, toInt64(0) AS moved_ms, toInt64(0) AS ours_ms,
        toUnixTimestamp64Milli(timestamp) AS first_t, first_t AS last_t,
        toInt64(sum(working_ms)) AS reported,
        toInt64(working_ms) * toInt64(count() - 1) AS repeated
    FROM
    (
        SELECT DISTINCT timestamp, content_key, user_id, project_id, task_id, job_id, working_ms
        FROM events
        WHERE scope = 'send:working_time' AND toYYYYMM(timestamp) BETWEEN {first:UInt32} AND {last:UInt32}
    )
    GROUP BY timestamp, user_id, project_id, task_id, job_id, working_ms
)
GROUP BY day, user_id, project_id, task_id, job_id
