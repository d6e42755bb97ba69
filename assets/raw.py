"""``images/raw``: the accepted photos of a batch. Bad files are quarantined with a reason, duplicates named.

Every file of the offer gets exactly one row: accepted + quarantined + duplicates = files offered.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import PurePosixPath

import dagster as dg

from assets.common.metadata import stage_result
from assets.common.names import TEAM_FIELD
from assets.common.partitions import BATCHES
from assets.common.pictures import save_jpeg
from assets.common.stage import Done, PictureError, StageResult, Work, run_stage
from inference.decode import UndecodableImage, decode
from labels.manifest import ManifestRow, Status
from labels.quadrats import parse_quadrat_name
from labels.survey import SurveyConfig
from resources.offers import Offer, claim, read_offer
from resources.settings import Settings
from resources.surveys import PhotoSource, SurveyCatalog
from resources.tables import BatchTables

logger = logging.getLogger("reefline.raw")

STAGE = "images/raw"
CODE_VERSION = "1"
EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif", "HEIF": "heic", "JPEG2000": "jp2"}
"""Usual file name endings of formats whose name is not one."""
MIN_SIDE_PX = 64
"""Below this a picture cannot show a frame; it is a thumbnail or a silently truncated file."""


class Outcome(StrEnum):
    """What became of an offered file."""

    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"


@dg.asset(
    key=STAGE.split("/"),
    partitions_def=BATCHES,
    group_name="images",
    owners=[TEAM_FIELD],
    kinds={"parquet", "image"},
    code_version=CODE_VERSION,
)
def images_raw(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Accepted photos of the batch: hash, size, EXIF, site, year, quadrat; duplicates and bad files quarantined."""
    batch = context.partition_key
    survey = surveys.of_batch(batch)
    offer = read_offer(tables.store, batch)
    result = ingest(tables, survey, surveys.photos(survey), offer, settings.worker_threads)
    counts = outcomes(result.rows)
    return stage_result(result, tables, {"offered": len(offer.files), **{o.value: counts[o] for o in Outcome}})


def ingest(
    tables: BatchTables, survey: SurveyConfig, photos: PhotoSource, offer: Offer, threads: int = 1
) -> StageResult:
    """Read, check and keep every file of an offer."""
    with ThreadPoolExecutor(threads) as pool:
        works = list(pool.map(lambda path: _identify(photos, offer.batch, path), [f.path for f in offer.files]))
    works = [_settle(tables, survey.name, offer.batch, work) for work in works]
    return run_stage(
        tables,
        STAGE,
        offer.batch,
        works,
        lambda work: _accept(tables, survey, photos, work),
        code_version=CODE_VERSION,
        threads=threads,
    )


def outcomes(rows: Iterable[ManifestRow]) -> Counter[Outcome]:
    """How many files were accepted, quarantined and duplicates."""
    return Counter(outcome(row) for row in rows)


def outcome(row: ManifestRow) -> Outcome:
    """What became of the file of a row."""
    if row.status == Status.FAILED:
        return Outcome.QUARANTINED
    return Outcome.DUPLICATE if row.status == Status.SKIPPED else Outcome.ACCEPTED


def accepted(rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    """Rows of the photos that go on."""
    return [row for row in rows if outcome(row) == Outcome.ACCEPTED]


def _identify(photos: PhotoSource, batch: str, path: str) -> Work:
    by_path = hashlib.sha256(f"{batch}\n{path}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    try:
        digest = hashlib.sha256(photos.read(path)).hexdigest()
    except OSError as error:
        reason = f"offered, but cannot be read any more: {error.strerror or error}"
        return Work(ManifestRow(by_path, "", Status.FAILED, CODE_VERSION), {"file": path, "unreadable": reason})
    return Work(ManifestRow(digest[:16], digest, Status.OK, CODE_VERSION), {"file": path}, digest)


def _settle(tables: BatchTables, survey: str, batch: str, work: Work) -> Work:
    """Name the owner of the bytes when it is another file. A duplicate gets an id of its own, from its path."""
    digest = work.source.source_sha256
    if not digest:
        return work
    owner = claim(tables.store, survey, digest, batch, work.params["file"])
    if owner is None:
        return work
    text = f"{batch}\n{work.params['file']}".encode("utf-8", "surrogatepass")
    source = ManifestRow(hashlib.sha256(text).hexdigest()[:16], digest, Status.SKIPPED, CODE_VERSION)
    return Work(source, {**work.params, "duplicate_of": owner}, digest)


def _accept(tables: BatchTables, survey: SurveyConfig, photos: PhotoSource, work: Work) -> Done:
    path: str = work.params["file"]
    if "unreadable" in work.params:
        raise PictureError(work.params["unreadable"])
    if "duplicate_of" in work.params:
        reason = f"same bytes as {work.params['duplicate_of']}"
        return Done(status=Status.SKIPPED, reason=reason, extra={"file": path})
    data = photos.read(path)
    try:
        picture = decode(data)
    except UndecodableImage as error:
        tables.put_image("quarantine", data, "bin")
        raise PictureError(f"{path}: {error}") from error
    if min(picture.width, picture.height) < MIN_SIDE_PX:
        tables.put_image("quarantine", data, "bin")
        raise PictureError(f"{path}: {picture.width}x{picture.height} px is too small for a photo quadrat")
    original, original_uri = tables.put_image("raw", data, EXTENSIONS.get(picture.format, picture.format.lower()))
    sha256, uri = (original, original_uri) if picture.is_plain else save_jpeg(tables, "raw", picture.image)
    name, unnamed = parse_quadrat_name(PurePosixPath(path).name, survey.names.pattern, survey.names.sites)
    warnings = [*picture.warnings, *([unnamed] if unnamed else [])]
    extra = {
        "file": path,
        "site": name.site if name else None,
        "year": name.year if name else None,
        "quadrat": name.quadrat if name else None,
        "original_uri": original_uri,
        "original_sha256": original,
        "warnings": warnings,
        "exif": picture.exif,
    }
    return Done(sha256, uri, picture.width, picture.height, extra=extra)


@dg.asset_check(asset=STAGE.split("/"), blocking=True, partitions_def=BATCHES)
def members_match_upload(
    context: dg.AssetCheckExecutionContext, tables: dg.ResourceParam[BatchTables]
) -> dg.AssetCheckResult:
    """Accepted, quarantined and duplicate files add up to the files offered, each by its own path."""
    batch = context.partition_key
    rows = tables.manifest(STAGE, batch)
    offered = sorted(f.path for f in read_offer(tables.store, batch).files)
    recorded = sorted(json.loads(row.params)["file"] for row in rows)
    counts = {o.value: n for o, n in outcomes(rows).items()}
    return dg.AssetCheckResult(passed=offered == recorded, metadata={"batch": batch, "offered": len(offered), **counts})


@dg.asset_check(asset=STAGE.split("/"), blocking=True, partitions_def=BATCHES)
def some_photos_accepted(
    context: dg.AssetCheckExecutionContext, tables: dg.ResourceParam[BatchTables]
) -> dg.AssetCheckResult:
    """At least one photo of the batch could be read; more unreadable ones than readable ones are a warning."""
    counts = outcomes(tables.manifest(STAGE, context.partition_key))
    good, bad = counts[Outcome.ACCEPTED], counts[Outcome.QUARANTINED]
    severity = dg.AssetCheckSeverity.WARN if good else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(passed=bad <= good, severity=severity, metadata={"accepted": good, "quarantined": bad})
