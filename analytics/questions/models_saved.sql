-- title: Minutes saved per picture
-- says: Each model version against the one before it: minutes of people per picture, and how many were saved in all.
SELECT
    model AS model_version,
    round(minutes, 2) AS minutes_per_picture,
    round(before - minutes, 2) AS saved_per_picture,
    round((before - minutes) * pictures_all / 60, 2) AS hours_saved,
    pictures_all AS pictures
FROM
(
    SELECT
        model, minutes, pictures_all,
        lagInFrame(minutes, 1, minutes) OVER (ORDER BY first_used ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM
    (
        SELECT
            model,
            sum(r.pictures) AS pictures_all,
            60 * sum(r.hours) / nullIf(sum(r.pictures), 0) AS minutes,
            min(r.collected_at) AS first_used
        FROM review_effort AS r
        WHERE gate = 'corals' AND state = 'collected' AND model != ''
            AND collected_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
            AND ({survey:String} = '' OR survey = {survey:String})
        GROUP BY model
    )
)
ORDER BY model_version
