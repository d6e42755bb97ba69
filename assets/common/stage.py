"""The per-picture runner of a stage: skips what is done, isolates failures, commits the manifest last. No Dagster.

A stage is a function of one picture. Whatever it raises about that picture becomes a ``failed`` row with a reason;
the others go on. A rerun keeps rows whose work key (source, code version, model, parameters) is unchanged, with their
labels, and does again what is missing or failed.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from labels.manifest import ManifestRow, Status, canonical_params
from labels.schema import Shape
from resources.object_store import StoreError
from resources.tables import BatchTables

logger = logging.getLogger("reefline.stage")


class PictureError(ValueError):
    """This picture cannot go through this stage; the message is the reason a person reads."""


@dataclass(frozen=True, slots=True)
class Work:
    """One picture to be done.

    Attributes:
        source: the manifest row it is made from.
        source_sha256: hash of what it is made from (the row's file unless said otherwise).
        params: everything else that decides the result, as plain data.
    """

    source: ManifestRow
    params: dict[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None

    @property
    def image_id(self) -> str:
        """Id of the picture."""
        return self.source.image_id


@dataclass(slots=True)
class Done:
    """What a stage made of one picture. Without an own picture the source's is passed on."""

    sha256: str | None = None
    uri: str | None = None
    width: int | None = None
    height: int | None = None
    status: Status = Status.OK
    reason: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    shapes: list[Shape] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StageResult:
    """A committed stage."""

    stage: str
    batch: str
    rows: list[ManifestRow]
    shapes: list[Shape]
    redone: int
    seconds: float
    manifest_uri: str

    def count(self, status: Status) -> int:
        """Number of pictures with this outcome."""
        return Counter(row.status for row in self.rows)[status]


def run_stage(
    tables: BatchTables,
    stage: str,
    batch: str,
    works: Sequence[Work],
    do: Callable[[Work], Done],
    *,
    code_version: str,
    model: str | None = None,
    labels: bool = False,
    threads: int = 1,
) -> StageResult:
    """Do what is missing, write labels (when the stage makes any), commit the manifest.

    Args:
        works: the pictures of the batch that this stage is about.
        do: makes one picture; raises :class:`PictureError` for what is wrong with that picture.
        code_version: changes when the same input would give another output.
        labels: whether the stage has a label table.

    Raises:
        StoreError: the object store fails; nothing is committed, and a retry goes on where this one stopped.
    """
    started = time.monotonic()
    before = {row.image_id: row for row in tables.previous(stage, batch) if row.usable}
    old_shapes = shapes_by_image(tables.labels(stage, batch)) if labels and before else {}
    keep: dict[str, ManifestRow] = {}
    todo: list[tuple[Work, ManifestRow]] = []
    for work in works:
        row = _blank(work, code_version, model)
        old = before.get(work.image_id)
        if old is not None and old.work_key() == row.work_key():
            keep[work.image_id] = old
        else:
            todo.append((work, row))
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix=stage) as pool:
        made = list(pool.map(lambda item: _one(do, *item), todo))
    rows = [*keep.values(), *(row for row, _ in made)]
    shapes = [s for image_id in keep for s in old_shapes.get(image_id, [])]
    shapes += [s for _, new in made for s in new]
    if labels:
        tables.write_labels(stage, batch, shapes)
    uri = tables.write_manifest(stage, batch, rows)
    return StageResult(
        stage, batch, sorted(rows, key=lambda r: r.image_id), shapes, len(made), time.monotonic() - started, uri
    )


def _blank(work: Work, code_version: str, model: str | None) -> ManifestRow:
    source = work.source_sha256 or work.source.sha256 or work.source.source_sha256
    params = canonical_params(work.params)
    return ManifestRow(work.image_id, source, Status.FAILED, code_version, model=model, params=params)


def _one(do: Callable[[Work], Done], work: Work, row: ManifestRow) -> tuple[ManifestRow, list[Shape]]:
    started = time.monotonic()
    try:
        done = do(work)
    except StoreError:
        raise
    except PictureError as error:
        return _failed(row, str(error), started), []
    except Exception as error:  # one picture never fails a batch; the traceback goes to the log, the reason to people
        logger.exception("%s failed on %s", do, work.image_id)
        return _failed(row, f"unexpected {type(error).__name__}: {error}", started), []
    own = done.uri is not None
    finished = dataclasses.replace(
        row,
        sha256=done.sha256 if own else work.source.sha256,
        uri=done.uri if own else work.source.uri,
        width=done.width if own else work.source.width,
        height=done.height if own else work.source.height,
        status=done.status,
        reason=done.reason,
        extra=done.extra,
        duration_ms=_ms(started),
    )
    return finished, done.shapes


def _failed(row: ManifestRow, reason: str, started: float) -> ManifestRow:
    return dataclasses.replace(row, status=Status.FAILED, reason=reason, duration_ms=_ms(started))


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def shapes_by_image(shapes: Iterable[Shape]) -> dict[str, list[Shape]]:
    """Shapes grouped by picture."""
    grouped: dict[str, list[Shape]] = defaultdict(list)
    for shape in shapes:
        grouped[shape.image_id].append(shape)
    return dict(grouped)
