-- title: Models: edits and minutes by version
-- says: What people did to each model's proposals, and what a picture cost them.
WITH
    edits AS
    (
        SELECT
            batch, model,
            sum(shapes) AS proposals,
            sumIf(shapes, what = 'unchanged') AS unchanged,
            sumIf(shapes, what = 'reshaped') AS reshaped,
            sumIf(shapes, what = 'relabelled') AS relabelled,
            sumIf(shapes, what = 'deleted') AS deleted,
            sum(iou_sum) AS iou_sum,
            sum(ious) AS ious
        FROM object_changes_now
        WHERE what != 'added' AND model != '' AND ({survey:String} = '' OR survey = {survey:String})
        GROUP BY batch, model
    ),
    added AS
    (
        SELECT batch, sum(shapes) AS added FROM object_changes_now WHERE what = 'added' GROUP BY batch
    )
SELECT
    e.model AS model_version,
    count() AS batches,
    sum(e.proposals) AS proposals,
    round(sum(e.unchanged) / sum(e.proposals), 3) AS accepted_share,
    round(sum(e.reshaped) / sum(e.proposals), 3) AS reshaped_share,
    round(sum(e.relabelled) / sum(e.proposals), 3) AS relabelled_share,
    round(sum(e.deleted) / sum(e.proposals), 3) AS deleted_share,
    round(sum(a.added) / sum(e.proposals), 3) AS added_per_proposal,
    round(sum(e.iou_sum) / nullIf(sum(e.ious), 0), 3) AS mean_iou,
    round(60 * sum(r.hours) / nullIf(sum(r.pictures), 0), 2) AS minutes_per_picture,
    min(r.collected_at) AS first_used,
    max(r.collected_at) AS last_used
FROM edits AS e
LEFT JOIN added AS a ON a.batch = e.batch
INNER JOIN
(
    SELECT batch, hours, pictures, collected_at
    FROM review_effort
    WHERE gate = 'corals' AND collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
) AS r ON r.batch = e.batch
GROUP BY model_version
ORDER BY first_used, model_version
