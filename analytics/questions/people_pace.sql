-- title: Pace by person
-- says: Objects that each person drew or changed, and how many an hour, in the coral gate.
WITH
    drawn AS
    (
        SELECT
            if(annotator = '', reviewer, annotator) AS who,
            sum(shapes) AS objects,
            sumIf(shapes, source != 'model') AS touched,
            uniqExact(image_id) AS pictures
        FROM objects_now
        WHERE gate = 'corals' AND ({survey:String} = '' OR survey = {survey:String})
            AND task_id IN
            (
                SELECT task FROM gate_tasks
                WHERE collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
            )
        GROUP BY who
    ),
    hours AS
    (
        SELECT user_name, any(pseudonym) AS pseudonym, sum(ours_ms) / 3600000 AS hours
        FROM worktime_named
        WHERE gate = 'corals' AND ({survey:String} = '' OR survey = {survey:String})
            AND task_id IN
            (
                SELECT task FROM gate_tasks
                WHERE collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
            )
        GROUP BY user_name
    )
SELECT
    if({pseudonyms:UInt8} = 1, if(empty(h.pseudonym), 'somebody', h.pseudonym), d.who) AS person,
    d.pictures AS pictures,
    d.objects AS objects,
    d.touched AS touched,
    round(h.hours, 2) AS hours,
    round(d.pictures / nullIf(h.hours, 0), 1) AS pictures_per_hour,
    round(d.touched / nullIf(h.hours, 0), 1) AS touched_per_hour
FROM drawn AS d
LEFT JOIN hours AS h ON h.user_name = d.who
WHERE d.who != ''
ORDER BY hours DESC
