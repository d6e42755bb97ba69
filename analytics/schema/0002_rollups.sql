-- Pictures, failures and milliseconds per picture, by stage and survey.
CREATE VIEW IF NOT EXISTS stage_summary AS
SELECT
    survey,
    stage,
    count() AS pictures,
    countIf(status = 'failed') AS failed,
    round(avgIf(duration_ms, duration_ms > 0), 1) AS mean_ms,
    round(quantileIf(0.95)(duration_ms, duration_ms > 0), 1) AS p95_ms
FROM images FINAL
GROUP BY survey, stage;

-- Mean cover per taxon, site and year.
CREATE VIEW IF NOT EXISTS cover_by_year AS
SELECT
    survey,
    site,
    year,
    taxon,
    count() AS quadrats,
    avg(share) AS mean_share,
    sum(colonies) AS colonies
FROM cover FINAL
GROUP BY survey, site, year, taxon;
