"""The demo: the whole main job on a sample survey, or on the user's own pictures.

``photos`` makes the sample survey, ``run`` drives the installation and shows progress, ``summary`` reads what was made.
Nothing here calls a stage: the Dagster daemon's sensors do, as in production.
"""
