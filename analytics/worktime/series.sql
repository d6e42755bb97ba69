-- Each event of one half of the people, how far their work had reached before it, and where they were. Read in the order
-- in which events are stored: one window, and nothing is sorted. A window goes through its people in one thread, so the
-- halves are worked through side by side. As each is a range, none reads what is the other's.
--
-- Source, one row per event: person; seq, tie (the order in a person's series); t (ms since 1970, long after it), scope,
-- lasted (ms), merged (events merged into it), project, task, job.
--
-- Three readings of how far work reaches: cvat (only frame changes last), cut (they do at most the cap per frame merged
-- into them), all (everything lasts). Columns are what a window costs, so a place goes through it as one number.
SELECT
    person, t, project, task, job,
    $place AS place,
    lagInFrame(place) OVER earlier AS before,
    least(lasted, {cap_ms:Int64} * greatest(merged, 1)) AS cut,
    t + if(scope = 'change:frame', lasted, 0) AS to_cvat,
    t + if(scope = 'change:frame', cut, 0) AS to_cut,
    t + cut AS to_all,
    max(to_cvat) OVER earlier AS from_cvat,
    max(to_cut) OVER earlier AS from_cut,
    max(to_all) OVER earlier AS from_all
FROM ($source)
WHERE person $side {middle:UInt64}
WINDOW earlier AS (PARTITION BY person ORDER BY seq, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
