-- title: Model versions
-- says: What the registry knows: versions, which one is promoted, held-out figures.
SELECT name, version, task, promoted, metrics, trained_on
FROM models FINAL
ORDER BY name, version
