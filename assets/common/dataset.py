"""What a release is made of, read from the store batch by batch. No Dagster."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from analytics.release import BatchInput, Filter, ReleasePlan, split_of_subset
from assets.clean import STAGE as CLEAN
from assets.common.stage import shapes_by_image
from assets.corals import GATE as CORALS
from assets.corners import GATE as CORNERS
from assets.cover import STAGE as COVER
from assets.lattice import GATE as LATTICE
from assets.quality import report_key, unfit_batches
from assets.raw import STAGE as RAW
from assets.rectified import STAGE as RECTIFIED
from labels.lattice import load_topology
from labels.manifest import ManifestRow
from labels.schema import Kind, Shape
from labels.survey import SurveyConfig, SurveyError, Workflow
from labels.survey_model import Person
from labels.taxonomy import load_taxonomy
from labels.transforms import Rectification
from resources.object_store import MissingObjectError
from resources.releases import ReleaseRequest
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables


class UnfitError(ValueError):
    """A batch is below its survey's thresholds, and nobody gave a reason to release it all the same."""


def plan_release(tables: BatchTables, surveys: SurveyCatalog, request: ReleaseRequest) -> ReleasePlan:
    """What a release is, before its batches are read.

    Raises:
        SurveyError: a survey file is missing, the batches differ in taxonomy or in what splits them, or there is no
            such taxon or split.
        UnfitError: a batch is below its survey's thresholds and the request gives no reason to override.
    """
    configs = [surveys.get(name) for name in request.surveys]
    taxonomies = sorted({config.taxonomy for config in configs})
    if len(taxonomies) != 1:
        raise SurveyError(f"the batches have different taxonomies ({', '.join(taxonomies)}): release them separately")
    taxonomy = load_taxonomy(taxonomies[0])
    unknown = sorted(set(request.taxa) - set(taxonomy.names))
    if unknown:
        raise SurveyError(f"{unknown[0]!r} is not a taxon of {taxonomy.reference}: {', '.join(taxonomy.names)}")
    by_subset = _by_subset(configs, request)
    unfit = unfit_batches(tables, request.batches)
    if unfit and not request.override:
        batch, reasons = next(iter(unfit.items()))
        raise UnfitError(f"{batch} is not fit for a release: {reasons[0]} (ask again with --override 'the reason')")
    formats = request.formats or sorted({str(name) for config in configs for name in config.release.formats})
    topologies = {config.lattice.topology for config in configs if config.workflow == Workflow.THREE_STAGE}
    return ReleasePlan(
        request.name,
        request.batches,
        request.reason,
        taxonomy,
        " and ".join(sorted({config.license for config in configs})),
        _citation(configs, request.name),
        formats,
        Filter(request.taxa, request.by),
        request.override,
        unfit,
        by_subset,
        request.previous,
        load_topology(next(iter(topologies))) if len(topologies) == 1 else None,
        version("reefline"),
        "; ".join(sorted({config.title for config in configs if config.title})),
        _creators(configs),
        next((config.release.contact for config in configs if config.release.contact), None),
    )


def _by_subset(configs: Sequence[SurveyConfig], request: ReleaseRequest) -> bool:
    """Whether CVAT's subset says the split; then every survey must have one that means a split."""
    splits = {request.splits} if request.splits else {config.release.splits for config in configs}
    if len(splits) != 1:
        raise SurveyError("the surveys differ in release.splits: say --splits quadrat or --splits subset")
    by_subset = splits == {"subset"}
    for config in configs if by_subset else ():
        if not split_of_subset(config.cvat.subset):
            raise SurveyError(
                f"survey {config.name!r} has the CVAT subset {config.cvat.subset!r}: splits by subset need train, val "
                "or test in cvat.subset; or release with --splits quadrat"
            )
    return by_subset


def _citation(configs: Sequence[SurveyConfig], release: str) -> str:
    """As the survey files say; made of creators and title of those that do not."""
    said = set()
    for config in configs:
        who = "; ".join(person.name for person in config.release.creators)
        made = f"{who + ': ' if who else ''}{config.title or config.name}. Dataset, release {release}"
        said.add(config.citation or made)
    return " / ".join(sorted(said))


def _creators(configs: Sequence[SurveyConfig]) -> tuple[Person, ...]:
    """Of all surveys, each once, in the order of the files."""
    return tuple(dict.fromkeys(person for config in configs for person in config.release.creators))


def batch_loader(tables: BatchTables, surveys: SurveyCatalog) -> Callable[[str], BatchInput]:
    """Reads one batch of a release.

    What it gives raises ``NotMadeYetError`` when a batch has not gone through all stages, and ``MissingObjectError``
    when a picture that labels lie on is gone from the store.
    """
    folders: dict[str, set[str]] = {}

    def here(uri: str) -> bool:
        folder = uri.rpartition("/")[0] + "/"
        if folder not in folders:
            folders[folder] = set(tables.store.keys(folder))  # one listing is many times quicker than asking for each
        return uri in folders[folder]

    def load(batch: str) -> BatchInput:
        survey = surveys.of_batch(batch)
        images = _images(tables, survey, batch)
        for row in images:
            if not here(row["clean_uri"]):
                raise MissingObjectError(
                    f"batch {batch}: picture {row['file']} ({row['clean_uri']}) is gone from the store: restore it, or "
                    "rerun the batch from images/raw"
                )
        ids = {row["image_id"] for row in images}
        return BatchInput(
            batch,
            images,
            [s for s in tables.labels(CORALS.reviewed, batch) if s.image_id in ids],
            tables.table(COVER, batch),
            json.loads(tables.store.get(report_key(batch))),
            _skeletons(tables, CORNERS.reviewed, batch, ids),
            _skeletons(tables, LATTICE.reviewed, batch, ids),
            survey.cvat.subset,
        )

    return load


def _skeletons(tables: BatchTables, stage: str, batch: str, ids: set[str]) -> list[Shape]:
    shapes = shapes_by_image(tables.labels(stage, batch))
    return [s for image_id in sorted(ids) for s in shapes.get(image_id, []) if s.kind == Kind.SKELETON]


def _images(tables: BatchTables, survey: SurveyConfig, batch: str) -> list[dict[str, Any]]:
    raw = {row.image_id: row for row in tables.manifest(RAW, batch)}
    rectified = {row.image_id: row for row in tables.manifest(RECTIFIED, batch)}
    clean = {row.image_id: row for row in tables.manifest(CLEAN, batch)}
    return [
        _image(survey.name, batch, row, raw[row.image_id], rectified[row.image_id], clean[row.image_id])
        for row in tables.manifest(CORALS.reviewed, batch)
        if row.usable
    ]


def _image(
    survey: str, batch: str, row: ManifestRow, photo: ManifestRow, straight: ManifestRow, picture: ManifestRow
) -> dict[str, Any]:
    warp = Rectification.from_json(straight.extra)
    return {
        "image_id": row.image_id,
        "batch": batch,
        "survey": survey,
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
        "raw_uri": photo.uri,
        "raw_width": photo.width,
        "raw_height": photo.height,
        "rectified_uri": straight.uri,
        "by": row.extra.get("by"),
    }
