-- Months of the table worktime_reach: how far the work of each person reached in them, and where they were last. Of the
-- steps of these months; only the last events are looked up.
SELECT
    month, person, last_t, last_tie, project, task, job, past_cvat, past_cut, past_all, now64(3, 'UTC') AS computed_at
FROM
(
    SELECT
        toYYYYMM(toDate(day)) AS month, person, max(s.last_t) AS last_t,
        max(reach_cvat) AS past_cvat, max(reach_cut) AS past_cut, max(reach_all) AS past_all
    FROM $steps AS s
    GROUP BY month, person
) AS reached
INNER JOIN
(
    SELECT
        toYYYYMM(timestamp) AS month, person,
        argMax((content_key, project_id, task_id, job_id), (timestamp, content_key)) AS last,
        last.1 AS last_tie, last.2 AS project, last.3 AS task, last.4 AS job
    FROM events
    WHERE series = '' AND (person, timestamp) IN (
        SELECT person, fromUnixTimestamp64Milli(max(last_t), 'Etc/UTC')
        FROM $steps
        GROUP BY person, toYYYYMM(toDate(day))
    )
    GROUP BY month, person
) AS lasts USING (month, person)
