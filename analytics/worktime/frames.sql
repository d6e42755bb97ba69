-- Each event of one half of the people as series.sql tells it, by the one reading that is CVAT's.
SELECT
    person, t, project, task, job,
    $place AS place,
    lagInFrame(place) OVER earlier AS before,
    t + if(scope = 'change:frame', lasted, 0) AS until,
    max(until) OVER earlier AS earlier_until
FROM ($source)
WHERE person $side {middle:UInt64}
WINDOW earlier AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
