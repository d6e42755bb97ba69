"""Retry policies. One HTTP or SQL call retries inside its client; this is for a whole step and a passing trouble."""

from __future__ import annotations

import dagster as dg

TRANSIENT = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For steps that talk to CVAT or ClickHouse. Data errors raise ``dg.Failure(allow_retries=False)`` and skip it."""
