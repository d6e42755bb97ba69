-- CVAT's compute_working_time_per_ids over whole series of events, to the millisecond.
--
-- Source, one row per event: person; seq, tie (the order in a person's series); counted (0: a row that stands for what
-- came before the series, at most one and the first); t (ms since 1970, more than 0), scope, lasted (ms), merged (events
-- merged into it), project, task, job; past_cvat (of a row that is not counted: how far the work reached). It is read
-- twice.
--
-- What an event adds (its gap, and how far it reaches beyond 'past', the end of all work before it) is booked where the
-- event BEFORE it was, the first of a series itself. Columns are what sorting and windows cost, so a place goes through
-- them as one number, and its project, task and job are found again for the few sums.
SELECT person, project, task, job, working_ms, first_t, events
FROM
(
    SELECT
        person, place_before AS place,
        sum(if(past = 0, until - t,
               if(t > past AND t - past < {cap_ms:Int64}, t - past, 0) + greatest(until - greatest(past, t), 0)))
            AS working_ms,
        argMin(t, (seq, tie)) AS first_t,
        count() AS events
    FROM
    (
        SELECT
            person, seq, tie, t, counted,
            cityHash64(ifNull(project, 0), ifNull(task, 0), ifNull(job, 0)) AS place,
            ifNull(past_cvat, t + if(scope = 'change:frame', lasted, 0)) AS until,
            max(until) OVER before AS past,
            lagInFrame(place, 1, place) OVER before AS place_before
        FROM ($source)
        WINDOW before AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    )
    WHERE counted
    GROUP BY person, place_before
) AS sums
INNER JOIN
(
    SELECT
        cityHash64(ifNull(e.project, 0), ifNull(e.task, 0), ifNull(e.job, 0)) AS place,
        any(e.project) AS project, any(e.task) AS task, any(e.job) AS job
    FROM ($source) AS e
    GROUP BY place
) AS places USING (place)
