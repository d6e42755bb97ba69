"""What wakes the pipeline: the webhook receiver (no Dagster in it), and Dagster sensors over inbox and surveys.

Belongs here: signature checks, interpreting deliveries, deciding that a run is due.
Stays out: the work of a run.
"""
