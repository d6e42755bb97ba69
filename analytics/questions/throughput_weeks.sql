-- title: Throughput by week
-- says: Is the campaign getting faster? Pictures per hour of reviews collected in each week, by gate.
SELECT
    toDateTime(toMonday(collected_at), 'UTC') AS time,
    gate,
    round(sum(r.pictures) / nullIf(sum(r.hours), 0), 1) AS pictures_per_hour,
    round(sum(r.objects) / nullIf(sum(r.hours), 0), 1) AS objects_per_hour,
    sum(r.pictures) AS pictures
FROM review_effort AS r
WHERE state = 'collected'
    AND collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY time, gate
ORDER BY time, gate
