-- What events add to working time, summed by person, day, the place before the event and its own; and how far it reaches.
--
-- Past, at most one row a person, for series that go on: past_cvat,
-- past_cut, past_all (how far the work had reached before them, ms since 1970), project, task, job (of the last event
-- before them).
--
-- p1, p2, p3 are how far the person's work had reached in any place before the event, by each reading of durations, so
-- time in two tabs at once counts once: it is the length of a union of intervals.
SELECT
    person, intDiv(t, 86400000) AS day, before, place,
    (min(project), min(task), min(job)) AS ids, -- all the same: of one place
    toInt64(count()) AS events,
    toInt64(countIf(t - p3 >= {session_ms:Int64})) AS sessions,
    sum(if(t > p1 AND t - p1 < {cap_ms:Int64}, t - p1, 0) + greatest(to_cvat - greatest(p1, t), 0)) AS reading_1,
    sum(if(t > p2 AND t - p2 < {cap_ms:Int64}, t - p2, 0) + greatest(to_cut - greatest(p2, t), 0)) AS reading_2,
    sum(if(t > p3 AND t - p3 < {cap_ms:Int64}, t - p3, 0) + greatest(to_all - greatest(p3, t), 0)) AS reading_3,
    {cap_ms:Int64} * countIf(t - p3 >= {cap_ms:Int64} AND t - p3 < {session_ms:Int64}) AS thinking_ms,
    sum(greatest(to_all - greatest(p3, t), 0)) AS own_ms,
    min(t) AS first_t,
    max(t) AS last_t,
    max(to_cvat) AS reach_cvat,
    max(to_cut) AS reach_cut,
    max(to_all) AS reach_all
FROM
(
    SELECT
        s.*,
        greatest(from_cvat, past_cvat) AS p1, greatest(from_cut, past_cut) AS p2, greatest(from_all, past_all) AS p3
    FROM ($lower UNION ALL $upper) AS s
    LEFT JOIN ($past) AS past ON past.person = s.person
)
GROUP BY person, day, before, place
