"""The manifest: one Parquet table per stage and batch, one row per picture. Writing it is the commit point of a stage.

``sha256`` names the file this stage made, ``source_sha256`` the file it was made from (for ``images/raw``: the bytes
as offered). A rerun keeps rows whose (``source_sha256``, ``code_version``, ``model``, ``params``) have not changed.
Stage-specific facts (homography, score, CVAT frame) travel as JSON in ``extra``, so that one schema serves all stages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

import pyarrow as pa


class Status(StrEnum):
    """Outcome of one picture in one stage: made, could not be made, or passed through (the stage does not apply)."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("source_sha256", pa.string(), nullable=False),
        pa.field("uri", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("code_version", pa.string(), nullable=False),
        pa.field("model", pa.string()),
        pa.field("params", pa.string(), nullable=False),
        pa.field("duration_ms", pa.float64()),
        pa.field("extra", pa.string(), nullable=False),
    ],
    metadata={"reefline.schema": "manifest", "reefline.version": "1"},
)


@dataclass(slots=True)
class ManifestRow:
    """One picture in one stage. ``width`` and ``height`` in pixels, ``duration_ms`` in milliseconds of wall time."""

    image_id: str
    source_sha256: str
    status: str
    code_version: str
    sha256: str | None = None
    uri: str | None = None
    width: int | None = None
    height: int | None = None
    reason: str | None = None
    model: str | None = None
    params: str = "{}"
    duration_ms: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether later stages may use this picture (made here, or passed through)."""
        return self.status != Status.FAILED

    def work_key(self) -> tuple[str, str, str | None, str]:
        """What decides whether the work has to be done again."""
        return (self.source_sha256, self.code_version, self.model, self.params)


def rows_to_table(rows: Iterable[ManifestRow]) -> pa.Table:
    """Rows to an Arrow table of :data:`MANIFEST_SCHEMA`, sorted by image id so that equal work gives equal bytes."""
    plain = []
    for row in sorted(rows, key=lambda r: r.image_id):
        item = asdict(row)
        item["extra"] = json.dumps(item["extra"], sort_keys=True)
        plain.append(item)
    return pa.Table.from_pylist(plain, schema=MANIFEST_SCHEMA)


def table_to_rows(table: pa.Table) -> list[ManifestRow]:
    """An Arrow table of :data:`MANIFEST_SCHEMA` to rows."""
    names = [f.name for f in fields(ManifestRow)]
    rows = []
    for item in table.select(names).to_pylist():
        item["extra"] = json.loads(item["extra"])
        rows.append(ManifestRow(**item))
    return rows


def canonical_params(params: dict[str, Any]) -> str:
    """Parameters as sorted JSON, so that equal settings compare equal as text."""
    return json.dumps(params, sort_keys=True, separators=(",", ":"))
