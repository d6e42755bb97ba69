-- title: Events taken in
-- says: Per day and way: received = inserted + duplicates + rejected + forgotten. 'unaccounted' must be 0.
SELECT toDateTime(day, 'UTC') AS time, way, loads, received, inserted, duplicates, rejected, forgotten, unaccounted
FROM event_intake
WHERE day BETWEEN toDate({since:DateTime64(3)}) AND toDate({until:DateTime64(3)})
ORDER BY time, way
