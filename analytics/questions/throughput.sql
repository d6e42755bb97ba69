-- title: Throughput
-- says: Pictures and objects per hour of people's work, of reviews collected in the period.
SELECT
    survey,
    gate,
    count() AS reviews,
    sum(r.pictures) AS pictures,
    sum(r.objects) AS objects,
    round(sum(r.hours), 2) AS hours,
    round(pictures / nullIf(sum(r.hours), 0), 1) AS pictures_per_hour,
    round(objects / nullIf(sum(r.hours), 0), 1) AS objects_per_hour,
    round(60 * sum(r.hours) / nullIf(pictures, 0), 2) AS minutes_per_picture,
    round(3600 * sum(r.hours) / nullIf(objects, 0), 1) AS seconds_per_object
FROM review_effort AS r
WHERE state = 'collected'
    AND collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY survey, gate
ORDER BY survey, gate
