"""Many pictures in many batches through ingestion and rectification: memory, cost per picture, and the UI's page.

``python -m bench scale`` takes 50,000; ``python -m bench.bench_scale 2000`` tries it small. Corners are taken from the
scenes' truth: finding them is measured elsewhere. Each batch is a run of Dagster's own, in this process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import psutil

from assets.corners import GATE as CORNERS
from assets.raw import STAGE as RAW
from assets.raw import accepted
from assets.rectified import STAGE as RECTIFIED
from deploy.local.runtime import Embedded, prepare
from deploy.local.services import services
from deploy.local.supervisor import Supervisor
from inference.scenes import render_quadrat
from labels.manifest import ManifestRow, Status
from labels.schema import Kind, Shape
from orchestration.definitions import build_defs
from orchestration.instance import dagster_instance
from resources.object_store import open_store
from resources.offers import cut_new_batches
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

PICTURES = 50_000
BATCH = 250
SCENES = 8
SIZE = (400, 360)
FIRST = 1000
"""Pictures whose cost the last ones are compared with."""
SURVEY = (
    "name: scale\nphotos: {folder: photos}\ntaxonomy: demo-reef\nframe: {side_cm: 50, rectified_px: 256}\n"
    f"batch_size: {BATCH}\n"
)
PAGE = """
query AssetPage($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
    id groupName description isPartitioned
    partitionStats { numMaterialized numMaterializing numPartitions numFailed }
    partitionKeys
    assetPartitionStatuses { ... on DefaultPartitionStatuses {
      materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } }
    latestMaterializationByPartition(partitions: null) { timestamp partition runId }
    assetMaterializations(limit: 100) { timestamp partition runId metadataEntries { __typename label description } }
    assetChecksOrError { ... on AssetChecks { checks { name
      executionForLatestMaterialization { status timestamp } } } }
  } } }
"""
"""What the asset's page asks for: overview, all partitions with their states, the newest events, checks."""


@dataclass(slots=True)
class Measured:
    """What one run over all batches has shown; a figure per batch, in order."""

    pictures: int = 0
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    cut_s: float = 0.0
    page_s: float = 0.0
    first_page_s: float = 0.0
    rectified: int = 0


def paint(folder: Path, pictures: int) -> dict[int, np.ndarray]:
    """Small photos of a few scenes, no two with the same bytes; the corners by scene."""
    folder.mkdir(parents=True)
    scenes = [render_quadrat(seed, difficulty=0.1, size=SIZE) for seed in range(SCENES)]
    images = [cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR) for scene in scenes]
    for number in range(pictures):
        image = images[number % SCENES].copy()
        for bit in range(pictures.bit_length()):  # a black or white block each: JPEG keeps them apart
            image[:8, 8 * bit : 8 * bit + 8] = 255 * (number >> bit & 1)
        cv2.imwrite(str(folder / f"Site{number % SCENES}_2021_{number:06d}.jpg"), image)
    return {number: scene.corners for number, scene in enumerate(scenes)}


def review_corners(tables: BatchTables, batch: str, truth: dict[int, np.ndarray]) -> None:
    """The corners as if people had placed them."""
    rows, shapes = [], []
    for photo in accepted(tables.manifest(RAW, batch)):
        scene = int(str(photo.extra["file"]).partition("_")[0].removeprefix("Site"))
        points = [float(v) for v in truth[scene].ravel()]
        shapes.append(Shape(photo.image_id, f"{photo.image_id}:0", Kind.SKELETON, "quadrat_corner", points))
        rows.append(ManifestRow(photo.image_id, photo.sha256 or "", Status.OK, "1"))
    tables.write_labels(CORNERS.reviewed, batch, shapes)
    tables.write_manifest(CORNERS.reviewed, batch, rows)


def measure(folder: Path, pictures: int) -> Measured:
    """Everything, in a fresh installation below ``folder``."""
    (folder / "surveys").mkdir()
    (folder / "surveys" / "scale.yaml").write_text(SURVEY, encoding="utf-8")
    truth = paint(folder / "surveys" / "photos", pictures)
    made = prepare(folder / "home", folder / "surveys")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    settings, found = made.settings, Measured(pictures)
    tables, catalog = BatchTables(open_store(settings.store)), SurveyCatalog(settings.surveys_dir)
    survey = catalog.get("scale")
    started = time.perf_counter()
    offers = cut_new_batches(tables.store, survey, catalog.photos(survey).list())
    found.cut_s = time.perf_counter() - started
    defs: Any = build_defs(settings)
    job = defs.resolve_implicit_global_asset_job_def()
    process = psutil.Process()
    with dagster_instance(made.home / "dagster", settings.dagster) as instance:
        instance.add_dynamic_partitions("batch", [offer.batch for offer in offers])
        for offer in offers:
            wall, cpu = time.perf_counter(), time.process_time()
            _run(job, instance, RAW, offer.batch)
            used = time.perf_counter() - wall, time.process_time() - cpu
            review_corners(tables, offer.batch, truth)  # not what is measured
            wall, cpu = time.perf_counter(), time.process_time()
            _run(job, instance, RECTIFIED, offer.batch)
            found.wall_s.append(used[0] + time.perf_counter() - wall)
            found.cpu_s.append(used[1] + time.process_time() - cpu)
            found.memory_mb.append(process.memory_info().rss / 1e6)
            found.rectified += sum(row.usable for row in tables.manifest(RECTIFIED, offer.batch))
    found.first_page_s, found.page_s = page_seconds(made)
    return found


def _run(job: Any, instance: dg.DagsterInstance, stage: str, batch: str) -> None:
    done = job.execute_in_process(
        asset_selection=[dg.AssetKey(stage.split("/"))], partition_key=batch, instance=instance, raise_on_error=True
    )
    if not done.success:
        raise RuntimeError(f"{stage} of {batch} failed")


def page_seconds(made: Embedded) -> tuple[float, float]:
    """Seconds of the first and of the slowest later answer to what the page of ``images/raw`` asks."""
    with Supervisor(made.home) as supervisor:
        for service in services(made, web=True, watch=False):
            if service.name in ("code", "web"):
                supervisor.start(service)
                supervisor.wait_ready(service.name, 180)
        times = [_ask(made.web_url) for _ in range(6)]
    return times[0], max(times[1:])


def _ask(url: str) -> float:
    variables = {"key": {"path": RAW.split("/")}}
    body = json.dumps({"query": PAGE, "variables": variables}).encode()
    started = time.perf_counter()
    with urllib.request.urlopen(f"{url}/assets/{RAW}", timeout=60) as page:
        page.read()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told = json.load(answer)
    if told.get("errors") or "partitionStats" not in told["data"]["assetNodeOrError"]:
        raise RuntimeError(f"the page's query fails: {json.dumps(told)[:500]}")
    return time.perf_counter() - started


def rows(pictures: int = PICTURES) -> list[dict[str, Any]]:
    """Figures of a run over so many pictures."""
    with tempfile.TemporaryDirectory(prefix="reefline-scale-") as folder:
        found = measure(Path(folder), pictures)
    batches = max(1, min(FIRST, pictures // 2) // BATCH)
    # The first batch also pays for imports.
    first, last = (_per_picture(found.cpu_s, part) for part in (slice(1, 1 + batches), slice(-batches, None)))
    walls = [_per_picture(found.wall_s, part) for part in (slice(1, 1 + batches), slice(-batches, None))]
    quarter = max(1, len(found.memory_mb) // 4)
    growth = max(found.memory_mb[-quarter:]) - max(found.memory_mb[:quarter])
    note = (
        f"{found.pictures} pictures of {SIZE[0]}x{SIZE[1]} in {len(found.cpu_s)} batches, {found.rectified} rectified; "
        f"{first * 1e3:.1f} ms of processor a picture in the first {batches} batches after one, {last * 1e3:.1f} in "
        f"the last {batches} (by the clock {walls[0] * 1e3:.1f} and {walls[1] * 1e3:.1f}); cut into batches in "
        f"{found.cut_s:.1f} s; {os.cpu_count()} cores; SQLite"
    )
    memory = f"peak {max(found.memory_mb):.0f} MB; last quarter of the run against the first; {note}"
    page = f"slowest of 5 answers, the first one {found.first_page_s:.2f} s; page and its query; asked: < 2; {note}"
    return [
        {"name": "scale.ui_page_s", "value": round(found.page_s, 3), "unit": "s", "note": page},
        {"name": "scale.cost_ratio_50k_vs_1k", "value": round(last / first, 3), "unit": "times",
         "note": f"asked: < 1.3; {note}"},
        {"name": "scale.memory_growth_mb", "value": round(growth, 1), "unit": "MB", "note": memory},
    ]  # fmt: skip


def _per_picture(seconds: list[float], part: slice) -> float:
    several = seconds[part]
    return sum(several) / (len(several) * BATCH)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=int, nargs="?", default=PICTURES)
    json.dump(rows(parser.parse_args().pictures), sys.stdout, indent=1)
