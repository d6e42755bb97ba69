-- title: Working time by survey and gate
-- says: Where the hours of people go.
SELECT
    if(survey = '', 'not of a batch', survey) AS survey_name,
    if(gate = '', place, gate) AS where_to,
    round(sum(ours_ms) / 3600000, 2) AS hours,
    round(sum(cvat_ms) / 3600000, 2) AS cvat_hours,
    uniqExact(user_id) AS people,
    uniqExact(task_id) AS tasks
FROM worktime_named
WHERE day BETWEEN toDate({since:DateTime64(3)}) AND toDate({until:DateTime64(3)})
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY survey_name, where_to
ORDER BY hours DESC
