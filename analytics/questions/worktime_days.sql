-- title: Working time by day
-- says: Hours per day, in jobs and outside of them, beside what CVAT has booked.
SELECT
    toDateTime(day, 'UTC') AS time,
    round(sumIf(ours_ms, job_id IS NOT NULL) / 3600000, 3) AS hours_in_jobs,
    round(sumIf(ours_ms, job_id IS NULL) / 3600000, 3) AS hours_outside_jobs,
    round(sum(reported_ms) / 3600000, 3) AS cvat_reported_hours,
    uniqExact(user_id) AS people
FROM worktime_named
WHERE day BETWEEN toDate({since:DateTime64(3)}) AND toDate({until:DateTime64(3)})
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY time
ORDER BY time
