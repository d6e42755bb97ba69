"""Parts: what a stage has done of a batch and not yet committed.

A run that is cut off, and each worker that shares a batch with others, leaves its finished pictures here
(``parts/<stage>/<thing>/<batch>/<name>.*.parquet``), so that nobody makes them again. Whoever commits the manifest
drops the parts. A part that was left behind does no harm: its rows count only while their work key is the wanted one.
"""

from __future__ import annotations

from dataclasses import dataclass

from labels.formats.parquet import bytes_to_table, table_to_bytes
from labels.manifest import ManifestRow, rows_to_table, table_to_rows
from labels.schema import Shape, shapes_to_table, table_to_shapes
from resources.object_store import MissingObjectError, ObjectStore

_ROWS, _SHAPES = ".manifest.parquet", ".labels.parquet"


@dataclass(frozen=True, slots=True)
class Part:
    """Finished pictures with their labels."""

    name: str
    rows: list[ManifestRow]
    shapes: list[Shape]


def write_part(store: ObjectStore, stage: str, batch: str, part: Part) -> None:
    """Keep a part under its name; an older one of that name is replaced. Labels first: the rows are the commit."""
    base = _prefix(stage, batch) + part.name
    store.put(base + _SHAPES, table_to_bytes(shapes_to_table(part.shapes)))
    store.put(base + _ROWS, table_to_bytes(rows_to_table(part.rows)))


def read_parts(store: ObjectStore, stage: str, batch: str) -> list[Part]:
    """All parts of a stage's batch; parts that somebody commits and drops meanwhile are left out."""
    parts = []
    for key in list(store.keys(_prefix(stage, batch))):
        if not key.endswith(_ROWS):
            continue
        base = key.removesuffix(_ROWS)
        try:
            rows = table_to_rows(bytes_to_table(store.get(key), origin=store.uri(key)))
            shapes = table_to_shapes(bytes_to_table(store.get(base + _SHAPES), origin=store.uri(base + _SHAPES)))
        except MissingObjectError:
            continue
        parts.append(Part(base.rpartition("/")[2], rows, shapes))
    return parts


def drop_parts(store: ObjectStore, stage: str, batch: str) -> None:
    """Forget all parts: their pictures are in the manifest now."""
    for key in list(store.keys(_prefix(stage, batch))):
        store.delete(key)


def _prefix(stage: str, batch: str) -> str:
    return f"parts/{stage}/{batch}/"
