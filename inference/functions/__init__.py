"""The models as functions that CVAT's tools call: one picture in, label rows out.

Belongs here: ``detectors`` and ``sam`` (what every function does, and the one place that calls the finders), and one
module per function for ``cvat-cli task auto-annotate --function-module inference.functions.<corners|lattice|corals>``.
Stays out: HTTP and Nuclio (``deploy.nuclio``), and how the finders work.

For whole surveys use the pipeline: it keeps what was found, and which model found it. These functions are for people
who look at single tasks in CVAT.
"""
