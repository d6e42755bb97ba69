-- Where the table worktime holds another sum of CVAT's algorithm than cvat.sql gives, over the same months.
SELECT
    user_id, project_id, task_id, job_id, sum(stored) AS stored_ms, sum(fresh) AS fresh_ms
FROM
(
    SELECT user_id, project_id, task_id, job_id, cvat_ms AS stored, toInt64(0) AS fresh
    FROM worktime
    WHERE toYYYYMM(day) BETWEEN {first:UInt32} AND {last:UInt32}
    UNION ALL
    SELECT person, project, task, job, toInt64(0), cvat_ms FROM ($cvat)
)
GROUP BY user_id, project_id, task_id, job_id
HAVING stored_ms != fresh_ms
ORDER BY abs(stored_ms - fresh_ms) DESC
LIMIT {most:UInt32}
