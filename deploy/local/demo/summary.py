"""What the demo has made, in figures: stages, gates, errors against the truth, cover, the release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from analytics.cover import summarise
from analytics.plots import cover_plot
from assets.raw import Outcome, outcomes
from deploy.local.demo.photos import SampleSurvey
from deploy.local.runtime import Embedded
from labels.schema import Source
from labels.survey import SurveyConfig
from labels.taxonomy import load_taxonomy
from labels.transforms import Rectification, apply_homography
from orchestration.cli.status import STAGES
from orchestration.instance import dagster_instance
from resources.bundle import make_cvat
from resources.inbox import Inbox
from resources.object_store import LocalStore, open_store
from resources.offers import offers_of
from resources.releases import release_key
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

ERROR_SIDE_PX = 1920
"""Errors are given in pixels of a rectified picture of this side, whatever side the survey uses."""


def finished_summary(folder: Path, survey: SampleSurvey) -> dict[str, Any] | None:
    """The summary of an earlier demo that is still true: same photos, release in place; else ``None``."""
    path = folder / "summary.json"
    if not path.exists():
        return None
    summary = json.loads(path.read_text(encoding="utf-8"))
    store = LocalStore(folder / "home" / "store")
    release = summary["release"]["name"]
    if summary["survey"] != survey.name or not store.exists(release_key(release, "release.json")):
        return None
    config = SurveyCatalog(survey.surveys_dir).get(survey.name)
    offered = {(f.path, f.size) for offer in offers_of(store, survey.name) for f in offer.files}
    lying = {(p.path, p.size) for p in SurveyCatalog(survey.surveys_dir).photos(config).list()}
    return summary if offered == lying else None


def write_summary(
    folder: Path, installation: Embedded, survey: SampleSurvey, release: str, seconds: float
) -> dict[str, Any]:
    """Collect the figures, write ``summary.json`` and ``cover.png``, and return the figures."""
    settings = installation.settings
    tables = BatchTables(open_store(settings.store))
    config = SurveyCatalog(survey.surveys_dir).get(survey.name)
    batches = [offer.batch for offer in offers_of(tables.store, survey.name)]
    cover = pa.concat_tables([tables.table("cover/quadrats", batch) for batch in batches], promote_options="default")
    (folder / "cover.png").write_bytes(cover_plot(cover, load_taxonomy(config.taxonomy)))
    counts = outcomes(row for batch in batches for row in tables.manifest("images/raw", batch))
    summary = {
        "survey": survey.name,
        "batches": batches,
        "photos": {
            "offered": sum(len(o.files) for o in offers_of(tables.store, survey.name)),
            **{o.value: counts[o] for o in Outcome},
        },
        "quadrats_released": _released(tables, release),
        "seconds": round(seconds, 1),
        "stages": _stages(tables, installation, batches),
        "gates": _gates(Inbox(settings.inbox), tables),
        "errors_px_at_1920": _errors(tables, config, survey, batches),
        "cover": summarise(cover).to_pylist(),
        "cover_plot": str(folder / "cover.png"),
        "release": {"name": release, "path": _release_path(tables, release)},
        "cvat": make_cvat(settings).url,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, default=str), encoding="utf-8")
    return summary


def _released(tables: BatchTables, release: str) -> int:
    return int(json.loads(tables.store.get(release_key(release, "release.json")))["counts"]["images"])


def _release_path(tables: BatchTables, release: str) -> str:
    store = tables.store
    key = release_key(release, "release.json")
    return str(store.path(key).parent) if isinstance(store, LocalStore) else store.uri(key)


def _stages(tables: BatchTables, installation: Embedded, batches: Sequence[str]) -> list[dict[str, Any]]:
    seconds = _stage_seconds(installation)
    stages = []
    for stage in STAGES:
        rows = [row for batch in batches if tables.has(stage, batch) for row in tables.manifest(stage, batch)]
        failed = sum(not row.usable for row in rows)
        stages.append(
            {"stage": stage, "pictures": len(rows), "failed": failed, "seconds": round(seconds.get(stage, 0.0), 2)}
        )
    return stages


def _stage_seconds(installation: Embedded) -> dict[str, float]:
    """Wall seconds that the runs of each stage took, by what the assets themselves recorded."""
    seconds: dict[str, float] = {}
    with dagster_instance(installation.home / "dagster", installation.settings.dagster) as instance:
        for stage in STAGES:
            records = instance.fetch_materializations(dg.AssetKey(stage.split("/")), limit=10_000).records
            values = [r.asset_materialization.metadata.get("seconds") for r in records if r.asset_materialization]
            seconds[stage] = sum([float(str(v.value)) for v in values if v is not None])
    return seconds


def _gates(inbox: Inbox, tables: BatchTables) -> list[dict[str, Any]]:
    gates = []
    for review in inbox.reviews():
        shapes = tables.labels(f"{review.gate}/reviewed", review.batch)
        by = {source.value: sum(s.source == source for s in shapes) for source in Source}
        gates.append(
            {"gate": review.gate, "batch": review.batch, "cvat_task": review.task_id, "jobs": review.jobs_total, **by}
        )
    return gates


def _errors(
    tables: BatchTables, config: SurveyConfig, survey: SampleSurvey, batches: Sequence[str]
) -> dict[str, dict[str, float]] | None:
    """Error of the proposals, before any review, against the truth of the sample survey."""
    if survey.truth is None:
        return None
    truth = json.loads(survey.truth.read_text(encoding="utf-8"))
    corner_errors: list[float] = []
    node_errors: list[float] = []
    for batch in batches:
        for shape in tables.labels("corners/proposed", batch):
            known = Rectification.from_corners(truth[shape.image_id]["corners"], ERROR_SIDE_PX, 1.0)
            ideal = known.to_rectified(truth[shape.image_id]["corners"])
            corner_errors += list(np.linalg.norm(known.to_rectified(shape.xy()) - ideal, axis=1))
        if not tables.has("lattice/proposed", batch):
            continue
        warps = {row.image_id: row.extra for row in tables.manifest("images/rectified", batch) if row.usable}
        for shape in tables.labels("lattice/proposed", batch):
            warp = Rectification.from_json(warps[shape.image_id])
            true = apply_homography(warp.array, truth[shape.image_id]["nodes"])
            scale = (ERROR_SIDE_PX - 1) / (warp.side_px - 1)
            node_errors += list(np.linalg.norm(np.array(shape.xy()) - true, axis=1) * scale)
    return {"corners": _spread(corner_errors), "nodes": _spread(node_errors)}


def _spread(errors: Sequence[float]) -> dict[str, float]:
    values = np.array(errors or [np.nan])
    return {
        "mean": round(float(values.mean()), 3),
        "p99": round(float(np.percentile(values, 99)), 3),
        "max": round(float(values.max()), 3),
        "count": len(errors),
    }


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """The summary for people."""
    stages = Table("stage", "pictures", "failed", "seconds", title="Stages", title_justify="left")
    for row in summary["stages"]:
        stages.add_row(row["stage"], str(row["pictures"]), str(row["failed"] or ""), f"{row['seconds']:.1f}")
    console.print(stages)
    cover = Table("taxon", "site", "year", "cover", "95 % interval", "quadrats", title="Cover", title_justify="left")
    for row in summary["cover"]:
        low, high = row["low"], row["high"]
        cover.add_row(
            row["taxon"],
            str(row["site"] or ""),
            str(row["year"] or ""),
            f"{row['mean']:.1%}",
            f"{low:.1%} to {high:.1%}",
            str(row["quadrats"]),
        )
    console.print(cover)
    photos = summary["photos"]
    console.print(
        f"{photos['offered']} photos offered: {photos['accepted']} accepted, {photos['quarantined']} quarantined, "
        f"{photos['duplicate']} duplicates; {summary['quadrats_released']} quadrats in the release."
    )
    errors = summary["errors_px_at_1920"]
    if errors:
        console.print(
            f"Before review, against the truth (px at {ERROR_SIDE_PX}): corners {errors['corners']['mean']:.2f} "
            f"(max {errors['corners']['max']:.1f}), nodes {errors['nodes']['mean']:.2f} "
            f"(max {errors['nodes']['max']:.1f})."
        )
    console.print(f"Cover plot   {summary['cover_plot']}\nRelease      {summary['release']['path']}")
    console.print(f"{summary['seconds']:.0f} s. To look at it in the Dagster UI: make dev")
