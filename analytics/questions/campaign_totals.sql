-- title: The campaign in numbers
-- says: Photos, pictures, batches, objects and hours, all in all.
SELECT
    (SELECT sum(photos) FROM batches FINAL WHERE {survey:String} = '' OR survey = {survey:String}) AS photos,
    (SELECT count() FROM batches FINAL WHERE {survey:String} = '' OR survey = {survey:String}) AS batches,
    (SELECT uniqExact(batch) FROM images FINAL
     WHERE stage = 'corals/reviewed' AND ({survey:String} = '' OR survey = {survey:String})) AS batches_done,
    (SELECT sum(shapes) FROM objects_now
     WHERE gate = 'corals' AND ({survey:String} = '' OR survey = {survey:String})) AS objects,
    (SELECT round(sum(ours_ms) / 3600000, 1) FROM worktime_named
     WHERE {survey:String} = '' OR survey = {survey:String}) AS hours
