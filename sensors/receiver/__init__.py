"""The webhook receiver: CVAT -> inbox. It checks, stores and answers; it interprets nothing and starts nothing.

A process of its own, small enough to stay up through every deploy. No Dagster here.
"""
