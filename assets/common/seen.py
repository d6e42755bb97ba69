"""What people have looked at, and how far they moved what was proposed there. No Dagster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from analytics.quality import compare_skeletons
from assets.common.gate import GateSpec
from labels.manifest import ManifestRow
from resources.tables import BatchTables


def seen_by_people(reviewed: Iterable[ManifestRow]) -> list[str]:
    """The pictures of a gate's reviewed manifest that a person answered for, in its order."""
    return [row.image_id for row in reviewed if row.usable and row.extra.get("by") == "person"]


def moved_by_people(tables: BatchTables, gate: GateSpec, batch: str) -> dict[str, Any]:
    """How far people moved the points of a gate, as :func:`analytics.quality.compare_skeletons` says.

    Pictures that nobody was asked about would only make the figures smaller.
    """
    seen = set(seen_by_people(tables.manifest(gate.reviewed, batch)))
    sides = ([s for s in tables.labels(stage, batch) if s.image_id in seen] for stage in (gate.proposed, gate.reviewed))
    return compare_skeletons(*sides)
