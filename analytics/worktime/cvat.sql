-- CVAT's compute_working_time_per_ids over whole series of events, to the millisecond.
--
-- Source, one row per event: person; seq, tie (the order in a person's series); counted (0: a row that stands for what
-- came before the series, at most one and the first); t (ms since 1970, more than 0), scope, lasted (ms), merged (events
-- merged into it), project, task, job; past_cvat (of a row that is not counted: how far the work reached).
--
-- What an event adds is booked where the event BEFORE it was: so each row books what the next one adds (its gap, and
-- how far it reaches beyond 'reached', the end of all work so far), and the first of a series itself, too.
SELECT
    person, project, task, job,
    sum(if(opens, until - t, 0)
        + if(next_t > reached AND next_t - reached < {cap_ms:Int64}, next_t - reached, 0)
        + greatest(next_until - greatest(reached, next_t), 0)) AS working_ms,
    argMin(if(opens, t, next_t), (seq, tie)) AS first_t,
    sum(opens + (next_t != 0)) AS events
FROM
(
    SELECT
        person, project, task, job, seq, tie, t,
        ifNull(past_cvat, t + if(scope = 'change:frame', lasted, 0)) AS until,
        max(until) OVER before AS past,
        counted AND past = 0 AS opens,
        greatest(past, until) AS reached,
        leadInFrame(t) OVER next AS next_t,
        leadInFrame(until) OVER next AS next_until
    FROM ($source)
    WINDOW
        before AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        next AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
)
WHERE opens OR next_t != 0
GROUP BY person, project, task, job
