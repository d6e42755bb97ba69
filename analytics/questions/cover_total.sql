-- title: Total coral cover by site and year
-- says: All taxa together, per quadrat, with the 95 % interval over quadrats.
SELECT
    survey, site, year,
    count() AS quadrats,
    avg(total) AS mean_share,
    greatest(0, mean_share - 1.96 * stddevSamp(total) / sqrt(quadrats)) AS low,
    least(1, mean_share + 1.96 * stddevSamp(total) / sqrt(quadrats)) AS high,
    sum(colonies_in) AS colonies
FROM
(
    SELECT survey, site, year, image_id, sum(share) AS total, sum(colonies) AS colonies_in
    FROM cover_now
    WHERE ({survey:String} = '' OR survey = {survey:String})
    GROUP BY survey, site, year, image_id
)
GROUP BY survey, site, year
ORDER BY survey, site, year
