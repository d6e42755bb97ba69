-- title: Rejected event lines
-- says: Lines that could not become events, kept aside as they came.
SELECT at, way, source, place, reason, substring(line, 1, 300) AS line
FROM event_rejects FINAL
WHERE at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}
ORDER BY at DESC
LIMIT 500
