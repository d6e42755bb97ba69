-- title: When it will be done
-- says: Hours of people left per survey, for gates that are open and gates to come, and the day at the pace of four weeks.
-- What is left of a batch at a gate is its pictures less the share of finished jobs. Rates are hours per picture of
-- finished reviews, of the survey or, without two of them, of all surveys. Interval: as in forecast.sql, but with the
-- normal quantile, for a sum over gates. A survey uses the gates it has asked at.
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
    used AS (SELECT DISTINCT survey, gate FROM gate_tasks),
    answered AS
    (
        SELECT batch, gate, if(state = 'open', if(jobs_total = 0, 0, jobs_done / jobs_total), 1) AS share
        FROM reviews FINAL
    ),
    todo AS
    (
        SELECT survey, gate, sum(pictures) AS pictures_left, sum(pictures * pictures) AS squares
        FROM
        (
            SELECT b.survey AS survey, u.gate AS gate, b.photos * (1 - a.share) AS pictures
            FROM (SELECT * FROM batches FINAL WHERE {survey:String} = '' OR survey = {survey:String}) AS b
            INNER JOIN used AS u ON u.survey = b.survey
            LEFT JOIN answered AS a ON a.batch = b.batch AND a.gate = u.gate
        )
        WHERE pictures > 0
        GROUP BY survey, gate
    ),
    pace AS
    (
        SELECT survey, sum(ours_ms) / 3600000 / 28 AS hours_a_day
        FROM worktime_named
        WHERE day > today() - 28 AND survey != ''
        GROUP BY survey
    )
SELECT
    survey,
    round(sum(left), 1) AS hours_left,
    round(greatest(0, sum(left) - 1.96 * sqrt(sum(doubt))), 1) AS low,
    round(sum(left) + 1.96 * sqrt(sum(doubt)), 1) AS high,
    round(any(hours_a_day), 2) AS pace_a_day,
    if(any(hours_a_day) > 0, toDate(now() + toIntervalHour(toUInt32(24 * sum(left) / any(hours_a_day)))), NULL) AS done_on,
    if(any(hours_a_day) > 0, toDate(now() + toIntervalHour(toUInt32(24 * high / any(hours_a_day)))), NULL) AS at_the_latest
FROM
(
    SELECT
        t.survey AS survey,
        if(w.n >= 2, w.mean, a.mean) * t.pictures_left AS left,
        ifNull(if(w.n >= 2, w.variance, a.variance), 0)
            * (t.pictures_left * t.pictures_left / greatest(if(w.n >= 2, w.n, a.n), 1) + t.squares) AS doubt,
        p.hours_a_day AS hours_a_day
    FROM todo AS t
    LEFT JOIN own AS w ON w.survey = t.survey AND w.gate = t.gate
    LEFT JOIN of_all AS a ON a.gate = t.gate
    LEFT JOIN pace AS p ON p.survey = t.survey
)
GROUP BY survey
ORDER BY survey
