-- title: Cover by site and year
-- says: Mean share of the quadrats' area per taxon, with the 95 % interval over quadrats.
SELECT
    survey,
    site,
    year,
    taxon,
    count() AS quadrats,
    avg(c.share) AS mean_share,
    greatest(0, mean_share - 1.96 * stddevSamp(c.share) / sqrt(quadrats)) AS low,
    least(1, mean_share + 1.96 * stddevSamp(c.share) / sqrt(quadrats)) AS high,
    sum(c.colonies) AS colonies
FROM cover_now AS c
WHERE ({survey:String} = '' OR survey = {survey:String})
GROUP BY survey, site, year, taxon
ORDER BY survey, site, year, taxon
