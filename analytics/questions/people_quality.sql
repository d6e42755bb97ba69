-- title: Agreement with the ground truth
-- says: Each annotator against the ground-truth jobs.
SELECT
    if({pseudonyms:UInt8} = 1, if(empty(p.pseudonym), 'somebody', p.pseudonym), q.who) AS person,
    q.measure AS measure,
    round(avg(q.value), 3) AS mean_value,
    count() AS batches
FROM quality_now AS q
LEFT JOIN (SELECT * FROM people FINAL) AS p ON p.user_name = q.who
WHERE q.who != '' AND q.against = 'truth' AND q.measure IN ('accuracy', 'precision', 'recall', 'mean_iou')
    AND q.measured_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
    AND ({survey:String} = '' OR q.survey = {survey:String})
GROUP BY person, measure
ORDER BY person, measure
