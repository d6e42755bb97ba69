"""Imported labels in the store: ``imports/<survey>/<name>.outlines.parquet``, ``.points.parquet``, ``.json``.

They are in pixels of the upright photos. Outlines take the place of the model's proposals at the coral gate.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from labels.formats.parquet import bytes_to_table, table_to_bytes
from labels.schema import Shape, shapes_to_table, table_to_shapes
from resources.object_store import MissingObjectError, ObjectStore

OUTLINES, POINTS = "outlines", "points"


def save_import(
    store: ObjectStore, survey: str, name: str, kind: str, shapes: list[Shape], report: dict[str, Any]
) -> str:
    """Keep an import under its name, in place of an earlier one of that name; the address of its report."""
    ordered = sorted(shapes, key=lambda s: (s.image_id, s.shape_id))
    store.put(f"imports/{survey}/{name}.{kind}.parquet", table_to_bytes(shapes_to_table(ordered)))
    key = f"imports/{survey}/{name}.json"
    store.put(key, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
    return store.uri(key)


def report_of(store: ObjectStore, survey: str, name: str) -> dict[str, Any] | None:
    """The report of an import; ``None`` when there is none of this name."""
    try:
        found: dict[str, Any] = json.loads(store.get(f"imports/{survey}/{name}.json"))
    except MissingObjectError:
        return None
    return found


def take_away(store: ObjectStore, survey: str, name: str) -> None:
    """Remove an import: its pictures are free for another one, or for a model."""
    for ending in (f"{OUTLINES}.parquet", f"{POINTS}.parquet", "json"):
        store.delete(f"imports/{survey}/{name}.{ending}")


def imported(
    store: ObjectStore, survey: str, kind: str, images: Collection[str] | None = None
) -> dict[str, tuple[str, list[Shape]]]:
    """``image_id`` -> name of the import and its shapes, for some pictures or all."""
    found: dict[str, tuple[str, list[Shape]]] = {}
    prefix, suffix = f"imports/{survey}/", f".{kind}.parquet"
    for key in store.keys(prefix):
        if not key.endswith(suffix):
            continue
        name = key.removeprefix(prefix).removesuffix(suffix)
        for shape in table_to_shapes(bytes_to_table(store.get(key), origin=store.uri(key))):
            if images is None or shape.image_id in images:
                found.setdefault(shape.image_id, (name, []))[1].append(shape)
    return found
