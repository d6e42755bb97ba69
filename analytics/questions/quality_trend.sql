-- title: Quality over time
-- says: Figures of each batch's quality report, in the order in which they were measured.
SELECT measured_at AS time, batch, gate, against, measure, value, low, high
FROM quality_now
WHERE who = '' AND measured_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR survey = {survey:String})
    AND measure IN ('precision', 'recall', 'accuracy', 'mean_iou', 'rms_px', 'kappa', 'moved_share')
ORDER BY time, batch, gate, measure
