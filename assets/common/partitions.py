"""The two partition sets: ``batch`` (an immutable slice of one survey) and ``release`` (a frozen list of batches)."""

from __future__ import annotations

import dagster as dg

BATCHES = dg.DynamicPartitionsDefinition(name="batch")
RELEASES = dg.DynamicPartitionsDefinition(name="release")
