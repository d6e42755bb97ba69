"""``datasets/release``: a frozen list of batches as a dataset to cite. Partitioned by ``release``."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from analytics.contact_sheet import markdown_image
from analytics.plots import cover_plot
from analytics.release import (
    RELEASE_JSON,
    Progress,
    ReleaseDefectError,
    ReleasePlan,
    SplitError,
    verify,
    write_release,
)
from analytics.release.verify import sha256_of
from assets.clean import STAGE as CLEAN
from assets.common.dataset import UnfitError, batch_loader, plan_release
from assets.common.names import META_PREVIEW, TEAM_SCIENCE
from assets.common.partitions import RELEASES
from assets.common.release_page import write_page
from assets.corals import GATE as CORALS
from assets.corners import GATE as CORNERS
from assets.cover import STAGE as COVER
from assets.lattice import GATE as LATTICE
from assets.quality import STAGE as QUALITY
from assets.raw import STAGE as RAW
from assets.rectified import STAGE as RECTIFIED
from labels.survey import SurveyError
from resources.audit import Audit
from resources.logs import about
from resources.object_store import MissingObjectError, ObjectStore
from resources.releases import RehearsalShelf, ReleaseError, ReleaseShelf, read_request, release_key
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

STAGE = "datasets/release"
CODE_VERSION = "3"
ALL_BATCHES = dg.AllPartitionMapping()
REFUSALS = (MissingObjectError, SurveyError, UnfitError, ReleaseDefectError, SplitError, ReleaseError)


@dg.asset(
    key=STAGE.split("/"),
    deps=[
        dg.AssetDep(dg.AssetKey(key.split("/")), partition_mapping=ALL_BATCHES)
        for key in (RAW, RECTIFIED, CLEAN, CORNERS.reviewed, LATTICE.reviewed, CORALS.reviewed, QUALITY, COVER)
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
    audit: dg.ResourceParam[Audit],
) -> dg.MaterializeResult:
    """Labels, pictures' table, every format asked for, cover, data sheet and checksums of a frozen list of batches."""
    name = context.partition_key

    def told(at: Progress) -> None:
        how = "taken from the try before" if at.reused else "made"
        context.log.info(f"{at.batch} {how}: {at.objects} objects, {at.images} pictures ({at.done}/{at.total} batches)")

    try:
        request = read_request(tables.store, name)
        plan = plan_release(tables, surveys, request)
        record = write_release(plan, batch_loader(tables, surveys), ReleaseShelf(tables.store, name), progress=told)
    except REFUSALS as error:
        raise dg.Failure(f"release {name}: {error}", allow_retries=False) from error
    page = page_or_why(tables, plan, record)
    if not isinstance(page, dg.PathMetadataValue):
        context.log.warning(page.value)
    with tempfile.TemporaryDirectory() as folder:
        tables.store.get_file(release_key(name, "cover.parquet"), Path(folder) / "cover")
        plot = cover_plot(pq.read_table(Path(folder) / "cover"), plan.taxonomy)
    counts = record["counts"]
    with about(run=context.run_id):
        audit.record(
            "write release",
            name,
            images=counts["images"],
            batches=list(request.batches),
            reason=request.reason,
            **({"override": request.override} if plan.unfit else {}),
        )
    return dg.MaterializeResult(
        metadata={
            "images": counts["images"],
            "colonies": counts["colonies"],
            "batches": len(request.batches),
            "splits": dg.MetadataValue.json(counts["splits"]),
            "formats": ", ".join(plan.formats),
            "checked_objects": record["checked_objects"],
            "report": page,
            "path": dg.MetadataValue.path(tables.store.uri(release_key(name, RELEASE_JSON)).rpartition("/")[0]),
            META_PREVIEW: dg.MetadataValue.md(markdown_image(plot, "image/png", "cover per taxon and year")),
        }
    )


def page_or_why(
    tables: BatchTables, plan: ReleasePlan, record: Mapping[str, Any]
) -> dg.PathMetadataValue | dg.TextMetadataValue:
    """The address of the release's page, or why it could not be made: the release is finished and stays so."""
    try:
        return dg.MetadataValue.path(write_page(tables, plan, record))
    except (*REFUSALS, OSError) as error:
        return dg.MetadataValue.text(
            f"the page could not be made ({error}): mend that and materialize the release again"
        )


@dg.asset_check(asset=STAGE.split("/"), blocking=True, partitions_def=RELEASES)
def release_reproducible(
    context: dg.AssetCheckExecutionContext,
    tables: dg.ResourceParam[BatchTables],
    surveys: dg.ResourceParam[SurveyCatalog],
) -> dg.AssetCheckResult:
    """The files in the store fit their checksums, and building the release again gives the same bytes."""
    name = context.partition_key
    stored = stored_sums(tables.store, name)
    defects = verify(stored.keys(), lambda path: tables.store.get(release_key(name, path)), lambda path: stored[path])
    again = RehearsalShelf(tables.store, sha256_of)
    try:
        plan = plan_release(tables, surveys, read_request(tables.store, name))
        write_release(plan, batch_loader(tables, surveys), again, check=False)
    except REFUSALS as error:
        defects.append(f"cannot be built again: {error}")
    defects += [f"{path} would be different now" for path, digest in again.sums.items() if digest != stored.get(path)]
    return dg.AssetCheckResult(
        passed=not defects, metadata={"files": len(stored), "defects": dg.MetadataValue.json(defects)}
    )


def stored_sums(store: ObjectStore, name: str) -> dict[str, str]:
    """The hash of every file of a release, by its path."""
    prefix, sums = release_key(name, ""), {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "file"
        for key in store.keys(prefix):
            store.get_file(key, copy)
            sums[key.removeprefix(prefix)] = sha256_of(copy)
    return sums
