"""``datasets/release``: a frozen list of batches as a dataset to cite. Partitioned by ``release``."""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from analytics.contact_sheet import markdown_image
from analytics.plots import cover_plot
from analytics.release import RELEASE_JSON, ReleaseInput, build_release, verify
from assets.clean import STAGE as CLEAN
from assets.common.names import META_PREVIEW, TEAM_SCIENCE
from assets.common.partitions import RELEASES
from assets.corals import GATE as CORALS
from assets.cover import STAGE as COVER
from assets.quality import STAGE as QUALITY
from assets.quality import report_key, unfit_batches
from assets.raw import STAGE as RAW
from assets.rectified import STAGE as RECTIFIED
from labels.survey import SurveyConfig, SurveyError
from labels.taxonomy import load_taxonomy
from labels.transforms import Rectification
from resources.releases import ReleaseRequest, read_request, release_key
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables, NotMadeYetError


class UnfitError(ValueError):
    """A batch is below its survey's thresholds, and nobody gave a reason to release it all the same."""


STAGE = "datasets/release"
CODE_VERSION = "2"
ALL_BATCHES = dg.AllPartitionMapping()


@dg.asset(
    key=STAGE.split("/"),
    deps=[
        dg.AssetDep(dg.AssetKey(key.split("/")), partition_mapping=ALL_BATCHES)
        for key in (RAW, RECTIFIED, CLEAN, CORALS.reviewed, QUALITY, COVER)
    ],
    partitions_def=RELEASES,
    group_name="datasets",
    owners=[TEAM_SCIENCE],
    kinds={"parquet", "coco"},
    code_version=CODE_VERSION,
)
def datasets_release(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
) -> dg.MaterializeResult:
    """Labels, pictures' table, COCO files, cover, data sheet and checksums of a frozen list of batches."""
    name = context.partition_key
    request = read_request(tables.store, name)
    try:
        given = gather(tables, surveys, request)
    except (NotMadeYetError, SurveyError, UnfitError) as error:
        raise dg.Failure(f"release {name}: {error}", allow_retries=False) from error
    files = build_release(given)
    for path, data in files.items():  # release.json last: it is the commit point
        tables.store.put(release_key(name, path), data)
    counts = json.loads(files[RELEASE_JSON])["counts"]
    plot = markdown_image(cover_plot(given.cover, given.taxonomy), "image/png", "cover per taxon and year")
    return dg.MaterializeResult(
        metadata={
            "images": counts["images"],
            "colonies": counts["colonies"],
            "batches": len(request.batches),
            "splits": dg.MetadataValue.json(counts["splits"]),
            "path": dg.MetadataValue.path(tables.store.uri(release_key(name, RELEASE_JSON)).rpartition("/")[0]),
            META_PREVIEW: dg.MetadataValue.md(plot),
        }
    )


def gather(tables: BatchTables, surveys: SurveyCatalog, request: ReleaseRequest) -> ReleaseInput:
    """What a release is made of, read from the store.

    Raises:
        NotMadeYetError: a batch has not gone through all stages.
        SurveyError: a survey file is missing, or the batches have different taxonomies.
        UnfitError: a batch is below its survey's thresholds and the request gives no reason to override.
    """
    configs = [surveys.of_batch(batch) for batch in request.batches]
    taxonomies = sorted({config.taxonomy for config in configs})
    if len(taxonomies) != 1:
        raise SurveyError(f"the batches have different taxonomies ({', '.join(taxonomies)}): release them separately")
    unfit = unfit_batches(tables, request.batches)
    if unfit and not request.override:
        batch, reasons = next(iter(unfit.items()))
        raise UnfitError(f"{batch} is not fit for a release: {reasons[0]} (ask again with --override 'the reason')")
    images = [row for batch, c in zip(request.batches, configs, strict=True) for row in _images(tables, c, batch)]
    ids = {row["image_id"] for row in images}
    shapes = [s for batch in request.batches for s in tables.labels(CORALS.reviewed, batch) if s.image_id in ids]
    return ReleaseInput(
        request.name,
        request.batches,
        request.reason,
        load_taxonomy(taxonomies[0]),
        " and ".join(sorted({config.license for config in configs})),
        "; ".join(sorted({config.citation for config in configs if config.citation})) or None,
        images,
        shapes,
        pa.concat_tables([tables.table(COVER, batch) for batch in request.batches]),
        {batch: json.loads(tables.store.get(report_key(batch))) for batch in request.batches},
        request.override,
        unfit,
    )


def _images(tables: BatchTables, survey: SurveyConfig, batch: str) -> Sequence[dict[str, Any]]:
    raw = {row.image_id: row for row in tables.manifest(RAW, batch)}
    rectified = {row.image_id: row for row in tables.manifest(RECTIFIED, batch)}
    clean = {row.image_id: row for row in tables.manifest(CLEAN, batch)}
    rows = []
    for row in tables.manifest(CORALS.reviewed, batch):
        if not row.usable:
            continue
        photo, straight, picture = raw[row.image_id], rectified[row.image_id], clean[row.image_id]
        warp = Rectification.from_json(straight.extra)
        rows.append(
            {
                "image_id": row.image_id,
                "batch": batch,
                "survey": survey.name,
                "file": photo.extra["file"].encode("utf-8", "replace").decode(),
                "site": photo.extra["site"],
                "year": photo.extra["year"],
                "quadrat": photo.extra["quadrat"],
                "width": picture.width,
                "height": picture.height,
                "raw_sha256": photo.extra["original_sha256"],
                "rectified_sha256": straight.sha256,
                "clean_sha256": picture.sha256,
                "clean_uri": picture.uri,
                "mask_sha256": picture.extra.get("mask_sha256"),
                "homography": list(warp.matrix),
                "side_px": warp.side_px,
                "frame_cm": warp.frame_cm,
            }
        )
    return rows


@dg.asset_check(asset=STAGE.split("/"), blocking=True, partitions_def=RELEASES)
def release_reproducible(
    context: dg.AssetCheckExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
) -> dg.AssetCheckResult:
    """The files in the store fit their checksums, and building the release again gives the same bytes."""
    name = context.partition_key
    request = read_request(tables.store, name)
    prefix = release_key(name, "")
    stored = {key.removeprefix(prefix): tables.store.get(key) for key in tables.store.keys(prefix)}
    defects = verify(stored)
    again = build_release(gather(tables, surveys, request))
    defects += [f"{path} would be different now" for path in again if again[path] != stored.get(path)]
    return dg.AssetCheckResult(
        passed=not defects, metadata={"files": len(stored), "defects": dg.MetadataValue.json(defects)}
    )
