-- title: Working time by person
-- says: Hours by our reading and by CVAT's, and why they differ; time outside jobs is shown beside, not lost.
SELECT
    if({pseudonyms:UInt8} = 1, pseudonym, user_name) AS person,
    round(sum(ours_ms) / 3600000, 2) AS hours,
    round(sumIf(ours_ms, job_id IS NULL) / 3600000, 2) AS hours_outside_jobs,
    round(sum(cvat_ms) / 3600000, 2) AS cvat_hours,
    round(sum(reported_ms) / 3600000, 2) AS cvat_reported_hours,
    round(sum(thinking_ms) / 3600000, 2) AS thinking_hours,
    round(sum(inside_ms) / 3600000, 2) AS inside_hours,
    round(sum(frames_ms) / 3600000, 2) AS frames_hours,
    round(sum(repeated_ms) / 3600000, 2) AS repeated_hours,
    sum(sessions) AS sessions,
    uniqExact(day) AS days,
    uniqExact(job_id) AS jobs
FROM worktime_named
WHERE day BETWEEN toDate({since:DateTime64(3)}) AND toDate({until:DateTime64(3)})
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY person
ORDER BY hours DESC
