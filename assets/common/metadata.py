"""Asset metadata that people look at: counts, failures with reasons, a contact sheet, where the tables are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import cv2
import dagster as dg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analytics.contact_sheet import Tile, contact_sheet, markdown_image
from assets.common.names import META_FAILURES, META_MANIFEST, META_PREVIEW
from assets.common.stage import StageResult, shapes_by_image
from labels.manifest import ManifestRow, Status
from labels.schema import Shape
from resources.tables import BatchTables

FAILURES_SHOWN = 50
SHEET_PICTURES = 24
THUMBNAIL_PX = 480


def stage_result(
    result: StageResult,
    tables: BatchTables,
    counts: Mapping[str, int | float | str] | None = None,
    *,
    preview: str | None = None,
    colors: Mapping[str, str] | None = None,
) -> dg.MaterializeResult:
    """A stage's outcome as metadata: counts, time, manifest path, failures with reasons, a contact sheet."""
    metadata: dict[str, dg.MetadataValue] = {
        "pictures": dg.MetadataValue.int(len(result.rows)),
        "ok": dg.MetadataValue.int(result.count(Status.OK)),
        "failed": dg.MetadataValue.int(result.count(Status.FAILED)),
        "passed_through": dg.MetadataValue.int(result.count(Status.SKIPPED)),
        "done_now": dg.MetadataValue.int(result.redone),
        "seconds": dg.MetadataValue.float(round(result.seconds, 3)),
        META_MANIFEST: dg.MetadataValue.path(result.manifest_uri),
    }
    if result.shapes:
        metadata["shapes"] = dg.MetadataValue.int(len(result.shapes))
    for name, value in (counts or {}).items():
        metadata[name] = (
            dg.MetadataValue.float(value) if isinstance(value, float) else dg.MetadataValue.text(str(value))
        )
        if isinstance(value, int):
            metadata[name] = dg.MetadataValue.int(value)
    failed = [row for row in result.rows if row.status == Status.FAILED]
    if failed:
        metadata[META_FAILURES] = dg.MetadataValue.md(failures_table(failed))
    sheet = preview if preview is not None else batch_sheet(tables, result.rows, result.shapes, result.batch, colors)
    if sheet:
        metadata[META_PREVIEW] = dg.MetadataValue.md(sheet)
    return dg.MaterializeResult(metadata=metadata)


def failures_table(rows: Sequence[ManifestRow]) -> str:
    """Pictures that could not be made, with their reasons, as a markdown table."""
    lines = ["| picture | reason |", "|---|---|"]
    for row in rows[:FAILURES_SHOWN]:
        reason = (row.reason or "").replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {row.image_id} | {reason} |")
    if len(rows) > FAILURES_SHOWN:
        lines.append(f"| … | {len(rows) - FAILURES_SHOWN} more in the manifest |")
    return "\n".join(lines)


def batch_sheet(
    tables: BatchTables,
    rows: Sequence[ManifestRow],
    shapes: Sequence[Shape],
    title: str,
    colors: Mapping[str, str] | None = None,
) -> str:
    """The contact sheet of a batch with its shapes drawn on the pictures, as a markdown image.

    Args:
        colors: ``#rrggbb`` by label.
    """
    by_label = {label: _rgb(color) for label, color in (colors or {}).items()}
    grouped = shapes_by_image(shapes)
    tiles = [
        Tile(
            load=_loader(tables, row) if row.uri and row.usable else None,
            size=(row.width or 1, row.height or 1),
            title=_caption(row, grouped.get(row.image_id, [])),
            shapes=grouped.get(row.image_id, []),
            reason=row.reason if not row.usable else None,
            colors=by_label,
        )
        for row in rows[:SHEET_PICTURES]
    ]
    if len(rows) > len(tiles):
        title += f", the first {len(tiles)} of {len(rows)}"
    return markdown_image(contact_sheet(tiles, title=title), "image/jpeg") if tiles else ""


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _caption(row: ManifestRow, shapes: Sequence[Shape]) -> str:
    scores = [s.score for s in shapes if s.score is not None]
    mean = f"  {sum(scores) / len(scores):.2f}" if scores else ""
    return f"{row.image_id[:8]}{mean}"


def _loader(tables: BatchTables, row: ManifestRow) -> Callable[[], NDArray[np.uint8]]:
    return lambda: thumbnail(tables.image(row), THUMBNAIL_PX)


def thumbnail(data: bytes, side_px: int) -> NDArray[np.uint8]:
    """A small RGB version of an encoded picture, long side ``side_px``, decoded at reduced size where JPEG allows."""
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", (side_px, side_px))
        array = np.asarray(image.convert("RGB"))
    scale = side_px / max(array.shape[:2])
    size = (max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale)))
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA) if scale < 1 else array
