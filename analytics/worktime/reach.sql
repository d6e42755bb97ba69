-- Months of the table worktime_reach: how far the work of each person reached in them, and where they were last.
SELECT
    month, person, last_t, last_tie, project, task, job, past_cvat, past_cut, past_all, now64(3, 'UTC') AS computed_at
FROM
(
    SELECT
        toYYYYMM(timestamp) AS month, person,
        max(t) AS last_t,
        max(t + if(scope = 'change:frame', toInt64(duration), 0)) AS past_cvat,
        max(t + if(scope = 'change:frame', cut, 0)) AS past_cut,
        max(t + cut) AS past_all
    FROM
    (
        SELECT
            person, timestamp, scope, duration,
            toUnixTimestamp64Milli(timestamp) AS t,
            least(toInt64(duration), {cap_ms:Int64} * greatest(toInt64(ifNull(count, 1)), 1)) AS cut
        FROM events
        WHERE series = '' AND toYYYYMM(timestamp) BETWEEN {first:UInt32} AND {last:UInt32}
    )
    GROUP BY month, person
) AS reached
INNER JOIN
(
    SELECT
        toYYYYMM(timestamp) AS month, person,
        argMax((content_key, project_id, task_id, job_id), (timestamp, content_key)) AS last,
        last.1 AS last_tie, last.2 AS project, last.3 AS task, last.4 AS job
    FROM events
    WHERE series = '' AND toYYYYMM(timestamp) BETWEEN {first:UInt32} AND {last:UInt32}
        AND (person, timestamp) IN (
            SELECT person, max(timestamp) FROM events
            WHERE series = '' AND toYYYYMM(timestamp) BETWEEN {first:UInt32} AND {last:UInt32}
            GROUP BY person, toYYYYMM(timestamp)
        )
    GROUP BY month, person
) AS lasts USING (month, person)
