-- title: Hours left
-- says: Annotator-hours for the open reviews, from the pace of finished ones, with a 95 % interval.
-- A finished review gives one rate (hours per picture); the mean is weighted by pictures. The interval is that of a
-- sum of new reviews: the doubt of the mean and the spread of each open review. Student's t with n - 1 degrees of
-- freedom, expanded around the normal quantile (Abramowitz and Stegun 26.7.5). Without two finished reviews of the
-- survey at the gate, those of all surveys at this gate are taken.
WITH
    finished AS
    (
        SELECT survey, gate, pictures, hours / pictures AS rate
        FROM review_effort
        WHERE state = 'collected' AND pictures > 0 AND hours > 0
    ),
    own AS
    (
        SELECT survey, gate, count() AS n, sum(rate * pictures) / sum(pictures) AS mean, varSamp(rate) AS variance
        FROM finished GROUP BY survey, gate
    ),
    of_all AS
    (
        SELECT gate, count() AS n, sum(rate * pictures) / sum(pictures) AS mean, varSamp(rate) AS variance
        FROM finished GROUP BY gate
    ),
    open AS
    (
        SELECT
            survey, gate, count() AS reviews,
            sum(left) AS pictures_left,
            sum(left * left) AS squares
        FROM
        (
            SELECT survey, gate, pictures * (1 - if(jobs_total = 0, 0, jobs_done / jobs_total)) AS left
            FROM reviews FINAL
            WHERE state = 'open' AND task_id > 0 AND ({survey:String} = '' OR survey = {survey:String})
        )
        GROUP BY survey, gate
    )
SELECT
    o.survey AS survey,
    o.gate AS gate,
    o.reviews AS open_reviews,
    round(o.pictures_left, 1) AS pictures_left,
    if(w.n >= 2, w.n, a.n) AS learnt_from,
    if(w.n >= 2, 'this survey', if(a.n >= 1, 'all surveys', 'nothing yet')) AS basis,
    round(60 * if(w.n >= 2, w.mean, a.mean), 2) AS minutes_per_picture,
    if(learnt_from = 0, NULL, round(o.pictures_left * if(w.n >= 2, w.mean, a.mean), 2)) AS hours_left,
    if(learnt_from < 2, NULL, greatest(0, round(o.pictures_left * if(w.n >= 2, w.mean, a.mean) - margin, 2))) AS low,
    if(learnt_from < 2, NULL, round(o.pictures_left * if(w.n >= 2, w.mean, a.mean) + margin, 2)) AS high,
    round(hours_left * {hour_cost:Float64}, 2) AS cost,
    learnt_from - 1 AS freedom,
    if(freedom < 1, 0, 1.96 + (pow(1.96, 3) + 1.96) / (4 * freedom)
        + (5 * pow(1.96, 5) + 16 * pow(1.96, 3) + 3 * 1.96) / (96 * freedom * freedom)) AS t_quantile,
    t_quantile * sqrt(if(w.n >= 2, w.variance, a.variance)
        * (o.pictures_left * o.pictures_left / greatest(learnt_from, 1) + o.squares)) AS margin
FROM open AS o
LEFT JOIN own AS w ON w.survey = o.survey AND w.gate = o.gate
LEFT JOIN of_all AS a ON a.gate = o.gate
ORDER BY survey, gate
