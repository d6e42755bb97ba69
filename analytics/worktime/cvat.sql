-- CVAT's compute_working_time_per_ids over whole series of events, to the millisecond.
--
-- Source, one row per event: person; seq, tie (the order in a person's series); counted (0: what came before the
-- series); t (ms since 1970), scope, lasted (ms), merged (events merged into it), project, task, job; past_cvat (of a
-- row that is not counted: how far the work reached).
--
-- What an event adds is booked where the event BEFORE it was.
SELECT
    person,
    project_before AS project,
    task_before AS task,
    job_before AS job,
    sum(if(t > reached AND t - reached < {cap_ms:Int64}, t - reached, 0) + greatest(until - greatest(reached, t), 0))
        AS working_ms,
    argMin(t, (seq, tie)) AS first_t,
    count() AS events
FROM
(
    SELECT
        person, counted, seq, tie, t,
        ifNull(past_cvat, t + if(scope = 'change:frame', lasted, 0)) AS until,
        count() OVER before = 0 AS first,
        if(first, t, max(until) OVER before) AS reached,
        if(first, project, lagInFrame(project) OVER upto) AS project_before,
        if(first, task, lagInFrame(task) OVER upto) AS task_before,
        if(first, job, lagInFrame(job) OVER upto) AS job_before
    FROM ($source)
    WINDOW
        before AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        upto AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE counted
GROUP BY person, project, task, job
