-- The source of series.sql for months of stored events.
SELECT
    person, timestamp AS seq, content_key AS tie,
    toUnixTimestamp64Milli(timestamp) AS t, scope, toInt64(duration) AS lasted, toInt64(ifNull(count, 1)) AS merged,
    project_id AS project, task_id AS task, job_id AS job
FROM events
WHERE series = '' AND toYYYYMM(timestamp) BETWEEN {first:UInt32} AND {last:UInt32}
