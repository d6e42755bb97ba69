-- title: What it has cost
-- says: Hours of people per survey and gate, per picture and per object, and their price.
SELECT
    survey,
    gate,
    sum(r.pictures) AS pictures,
    round(sum(r.hours), 2) AS hours,
    round(sum(r.hours) * {hour_cost:Float64}, 2) AS cost,
    round(sum(r.hours) * {hour_cost:Float64} / nullIf(sum(r.pictures), 0), 3) AS cost_per_picture,
    round(sum(r.hours) * {hour_cost:Float64} / nullIf(sum(r.objects), 0), 4) AS cost_per_object
FROM review_effort AS r
WHERE ifNull(collected_at, now64(3, 'UTC')) BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
GROUP BY survey, gate
ORDER BY survey, gate
