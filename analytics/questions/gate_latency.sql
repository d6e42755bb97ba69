-- title: Who waits for whom
-- says: From the question to people until their answer is collected, in hours; and of it, how much was work.
SELECT
    survey,
    gate,
    count() AS reviews,
    round(quantile(0.5)(dateDiff('second', r.asked_at, r.collected_at) / 3600), 2) AS median_hours,
    round(quantile(0.95)(dateDiff('second', r.asked_at, r.collected_at) / 3600), 2) AS p95_hours,
    round(avg(dateDiff('second', r.asked_at, r.collected_at) / 3600), 2) AS mean_hours,
    round(sum(r.hours), 2) AS hours_of_work,
    round(sum(r.hours) / nullIf(sum(dateDiff('second', r.asked_at, r.collected_at) / 3600), 0), 4) AS work_share
FROM review_effort AS r
WHERE state = 'collected' AND asked_at IS NOT NULL
    AND collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY survey, gate
ORDER BY survey, gate
