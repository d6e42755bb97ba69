"""The per-picture runner of a stage: skips what is done, isolates failures, commits the manifest last. No Dagster.

A stage is a function of one picture. Whatever it raises about that picture becomes a ``failed`` row with a reason;
the others go on. A rerun keeps rows whose work key (source, code version, model, parameters) is unchanged, with their
labels, and does again what is missing or failed. A run that is cut off leaves what it has finished as a part
(``resources.parts``), and so does each worker that takes a share of a batch; the next run goes on from there.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from labels.manifest import ManifestRow, Status, canonical_params
from labels.schema import Shape
from resources.object_store import StoreError
from resources.parts import Part, drop_parts, read_parts, write_part
from resources.tables import BatchTables

logger = logging.getLogger("reefline.stage")

PART_EVERY_S = 60.0
"""Between two parts of a running stage: what a killed process loses at most."""


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


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one picture: ``done``, or the ``reason`` why it failed. ``duration_ms`` of work."""

    work: Work
    done: Done | None
    reason: str | None
    duration_ms: float


Many = Callable[[Sequence[Work]], Iterator[Made]]
"""Makes pictures together, in any order; raises only what must stop the stage."""


@dataclass(frozen=True, slots=True)
class Share:
    """A worker's share of a batch: every ``of``-th picture, from ``number`` (0-based) on."""

    number: int
    of: int

    @property
    def part(self) -> str:
        """Name of the part that the worker leaves."""
        return f"share-{self.number:03d}-of-{self.of:03d}"

    def takes(self, works: Sequence[Work]) -> list[Work]:
        """Its pictures. The order of ``works`` does not matter."""
        return sorted(works, key=lambda work: work.image_id)[self.number :: self.of]


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
    many = one_by_one(do, threads)
    return run_stage_together(tables, stage, batch, works, many, code_version=code_version, model=model, labels=labels)


def run_stage_together(
    tables: BatchTables,
    stage: str,
    batch: str,
    works: Sequence[Work],
    many: Many,
    *,
    code_version: str,
    model: str | None = None,
    labels: bool = False,
    share: Share | None = None,
    shared: int = 0,
) -> StageResult:
    """As :func:`run_stage`, for pictures that are made together (``assets.common.seeing``).

    Args:
        share: do only these pictures and leave them as a part; nothing is committed.
        shared: how many shares were done before this commit: failures of theirs are final, too.
    """
    started = time.monotonic()
    mine = share.takes(works) if share else works
    blank = {work.image_id: _blank(work, code_version, model) for work in mine}
    kept, part = _finished(tables, stage, batch, blank, labels=labels, shared=shared)
    todo = [work for work in mine if work.image_id not in kept and work.image_id not in part.rows]
    name = share.part if share else "run"
    redone = 0
    saved = time.monotonic()
    try:
        for made in many(todo):
            row, shapes = _row(blank[made.work.image_id], made)
            part.add(row, shapes)
            redone += 1
            if time.monotonic() - saved > PART_EVERY_S:
                write_part(tables.store, stage, batch, part.as_part(name))
                saved = time.monotonic()
    except BaseException as error:
        if part.rows and not isinstance(error, StoreError):
            write_part(tables.store, stage, batch, part.as_part(name))
        raise
    rows = sorted([*kept.values(), *part.rows.values()], key=lambda r: r.image_id)
    if share:
        write_part(tables.store, stage, batch, part.as_part(name))
        shapes = part.shapes_of(part.rows)
        return StageResult(stage, batch, rows, shapes, redone, time.monotonic() - started, "")
    old = shapes_by_image(tables.labels(stage, batch)) if labels and kept else {}
    shapes = [shape for image_id in kept for shape in old.get(image_id, [])] + part.shapes_of(part.rows)
    shapes.sort(key=lambda shape: (shape.image_id, shape.shape_id))
    if labels:
        tables.write_labels(stage, batch, shapes)
    uri = tables.write_manifest(stage, batch, rows)
    drop_parts(tables.store, stage, batch)
    return StageResult(stage, batch, rows, shapes, redone, time.monotonic() - started, uri)


@dataclass(slots=True)
class _Progress:
    """Pictures that are finished and not committed."""

    rows: dict[str, ManifestRow] = field(default_factory=dict)
    shapes: dict[str, list[Shape]] = field(default_factory=dict)

    def add(self, row: ManifestRow, shapes: list[Shape]) -> None:
        self.rows[row.image_id], self.shapes[row.image_id] = row, shapes

    def shapes_of(self, image_ids: Iterable[str]) -> list[Shape]:
        return [shape for image_id in image_ids for shape in self.shapes.get(image_id, [])]

    def as_part(self, name: str) -> Part:
        return Part(name, list(self.rows.values()), self.shapes_of(self.rows))


def _finished(
    tables: BatchTables, stage: str, batch: str, blank: dict[str, ManifestRow], *, labels: bool, shared: int
) -> tuple[dict[str, ManifestRow], _Progress]:
    """Pictures that need not be made again: those of the manifest, and those of parts."""

    def wanted(row: ManifestRow) -> bool:
        return row.image_id in blank and row.work_key() == blank[row.image_id].work_key()

    kept = {row.image_id: row for row in tables.previous(stage, batch) if row.usable and wanted(row)}
    part = _Progress()
    final = {Share(number, shared).part for number in range(shared)}
    for found in read_parts(tables.store, stage, batch):
        grouped = shapes_by_image(found.shapes)
        for row in found.rows:
            if wanted(row) and row.image_id not in kept and (row.usable or found.name in final):
                part.add(row, grouped.get(row.image_id, []) if labels else [])
    return kept, part


def one_by_one(do: Callable[[Work], Done], threads: int = 1) -> Many:
    """Pictures made each by a call of ``do``, several at a time."""

    def many(works: Sequence[Work]) -> Iterator[Made]:
        pool = ThreadPoolExecutor(max(1, threads))
        try:
            for future in as_completed([pool.submit(_one, do, work) for work in works]):
                yield future.result()
        finally:  # also when the store fails or somebody stops the run: what has not begun never does
            pool.shutdown(cancel_futures=True)

    return many


def _blank(work: Work, code_version: str, model: str | None) -> ManifestRow:
    source = work.source_sha256 or work.source.sha256 or work.source.source_sha256
    params = canonical_params(work.params)
    return ManifestRow(work.image_id, source, Status.FAILED, code_version, model=model, params=params)


def _one(do: Callable[[Work], Done], work: Work) -> Made:
    started = time.monotonic()
    done, reason = None, None
    try:
        done = do(work)
    except StoreError:
        raise
    except PictureError as error:
        reason = str(error)
    except Exception as error:  # one picture never fails a batch; the traceback goes to the log, the reason to people
        logger.exception("%s failed on %s", do, work.image_id)
        reason = f"unexpected {type(error).__name__}: {error}"
    return Made(work, done, reason, (time.monotonic() - started) * 1000)


def _row(blank: ManifestRow, made: Made) -> tuple[ManifestRow, list[Shape]]:
    took = round(made.duration_ms, 3)
    done, source = made.done, made.work.source
    if done is None:
        return dataclasses.replace(blank, status=Status.FAILED, reason=made.reason, duration_ms=took), []
    own = done.uri is not None
    finished = dataclasses.replace(
        blank,
        sha256=done.sha256 if own else source.sha256,
        uri=done.uri if own else source.uri,
        width=done.width if own else source.width,
        height=done.height if own else source.height,
        status=done.status,
        reason=done.reason,
        extra=done.extra,
        duration_ms=took,
    )
    return finished, done.shapes


def shapes_by_image(shapes: Iterable[Shape]) -> dict[str, list[Shape]]:
    """Shapes grouped by picture."""
    grouped: dict[str, list[Shape]] = defaultdict(list)
    for shape in shapes:
        grouped[shape.image_id].append(shape)
    return dict(grouped)
