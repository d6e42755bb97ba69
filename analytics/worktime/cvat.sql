-- CVAT's compute_working_time_per_ids over whole series of events, to the millisecond.
--
-- Source, one row per event: person; seq, tie (the order in a person's series); counted (0: a row that stands for what
-- came before the series, at most one and the first); t (ms since 1970, more than 0), scope, lasted (ms), merged (events
-- merged into it), project, task, job; past_cvat (of a row that is not counted: how far the work reached).
--
-- What an event adds (its gap, and how far it reaches beyond 'past', the end of all work before it) is booked where the
-- event BEFORE it was; the first of a series, itself. One window asks for both, past and place: a second one over rows
-- that follow would cost as much as sorting and the first together.
SELECT
    person,
    if(opens, own_project, project_before) AS project,
    if(opens, own_task, task_before) AS task,
    if(opens, own_job, job_before) AS job,
    sum(if(opens, until - t,
           if(t > past AND t - past < {cap_ms:Int64}, t - past, 0) + greatest(until - greatest(past, t), 0)))
        AS working_ms,
    argMin(t, (seq, tie)) AS first_t,
    count() AS events
FROM
(
    SELECT
        person, seq, tie, counted, t, project AS own_project, task AS own_task, job AS own_job,
        ifNull(past_cvat, t + if(scope = 'change:frame', lasted, 0)) AS until,
        max(until) OVER before AS past,
        past = 0 AS opens,
        lagInFrame(project) OVER before AS project_before,
        lagInFrame(task) OVER before AS task_before,
        lagInFrame(job) OVER before AS job_before
    FROM ($source)
    WINDOW before AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE counted
GROUP BY person, project, task, job
