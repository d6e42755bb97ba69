-- title: Working time by person and job, both ways
-- says: One row per person and place; ours = CVAT's + frames + inside + thinking + moved, to the millisecond.
SELECT
    if({pseudonyms:UInt8} = 1, pseudonym, user_name) AS person,
    any(place) AS where_to,
    any(survey) AS survey_name,
    any(batch) AS batch_key,
    any(gate) AS gate_name,
    project_id,
    task_id,
    job_id,
    sum(ours_ms) AS ours_ms,
    sum(cvat_ms) AS cvat_ms,
    sum(frames_ms) AS frames_ms,
    sum(inside_ms) AS inside_ms,
    sum(thinking_ms) AS thinking_ms,
    sum(moved_ms) AS moved_ms,
    sum(reported_ms) AS reported_ms,
    sum(repeated_ms) AS repeated_ms,
    sum(sessions) AS sessions,
    concat(
        if(thinking_ms != 0, concat('+', formatReadableTimeDelta(thinking_ms / 1000), ' thinking. '), ''),
        if(inside_ms != 0,
           concat(if(inside_ms > 0, '+', '-'), formatReadableTimeDelta(abs(inside_ms) / 1000), ' inside events. '), ''),
        if(frames_ms != 0,
           concat(if(frames_ms > 0, '+', '-'), formatReadableTimeDelta(abs(frames_ms) / 1000), ' frame changes. '), ''),
        if(moved_ms != 0,
           concat(if(moved_ms > 0, '+', '-'), formatReadableTimeDelta(abs(moved_ms) / 1000), ' booked elsewhere. '),
           ''),
        if(repeated_ms > 0, concat(formatReadableTimeDelta(repeated_ms / 1000), ' booked twice by CVAT. '), '')
    ) AS difference
FROM worktime_named
WHERE day BETWEEN toDate({since:DateTime64(3)}) AND toDate({until:DateTime64(3)})
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY person, project_id, task_id, job_id
ORDER BY ours_ms DESC
