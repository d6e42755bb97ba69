-- title: Time per object by class
-- says: A coral job's time shared by the outlines that people drew or changed in it, each weighing the same.
WITH effort AS
(
    SELECT batch, hours, touched
    FROM review_effort
    WHERE gate = 'corals' AND state = 'collected' AND touched > 0 AND hours > 0
        AND collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
        AND ({survey:String} = '' OR survey = {survey:String})
)
SELECT
    o.label AS class,
    sum(o.shapes) AS objects,
    sumIf(o.shapes, o.source != 'model') AS touched,
    round(touched / objects, 3) AS touched_share,
    round(3600 * sumIf(o.shapes * e.hours / e.touched, o.source != 'model') / nullIf(touched, 0), 1)
        AS seconds_per_touched_object,
    round(3600 * sumIf(o.shapes * e.hours / e.touched, o.source != 'model') / objects, 1) AS seconds_per_object
FROM objects_now AS o
INNER JOIN effort AS e ON e.batch = o.batch
WHERE o.gate = 'corals'
GROUP BY class
ORDER BY objects DESC
