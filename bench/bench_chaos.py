"""What a storm of drops, doubles, reorderings and kills leaves lost or doubled.

``chaos.*`` is Dagster's own daemon, killed again and again; ``chaos_runs.*`` a consumer whose runs are killed too.
"""

from __future__ import annotations

from typing import Any

from bench import chaos_daemon
from bench.chaos import blow
from bench.chaos_plan import Storm


def rows() -> list[dict[str, Any]]:
    """Two rows a storm."""
    found = []
    for prefix, storm, make in (("chaos", chaos_daemon.STORM, chaos_daemon.Daemon), ("chaos_runs", Storm(), None)):
        outcome = blow(storm, make_consumer=make)
        note = f"{outcome.summary()}; seed {storm.seed}; asked: 0"
        found += [
            {"name": f"{prefix}.lost_events", "value": outcome.lost_events, "unit": "events", "note": note},
            {"name": f"{prefix}.doubled", "value": outcome.doubled, "unit": "runs", "note": note},
        ]
    return found
