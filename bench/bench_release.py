"""Releases: COCO and YOLO export against datumaro on the same data, and the memory of a release of 100,000 pictures.

datumaro's pins conflict with ours, so it runs in an environment of its own: ``BENCH_DATUMARO`` names its python. Every
measurement is a process of its own, so that its peak memory is its own; ours and datumaro's take turns.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

IMAGES, POLYGONS, SIDE = 1_000, 40_000, 1920
BIG, BATCH, OUTLINES = 100_000, 500, 4
TIMES = 3
"""Runs of an export; the best one counts, on both sides."""
REPOSITORY = Path(__file__).parents[1]


def rings(count: int, seed: int, side: int = SIDE, corners: int = 40) -> np.ndarray:
    """Wobbly outlines, ``(count, 2 * corners)`` float32 pixels, at two decimals."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = rng.uniform(15, 90, (count, 1)) * (1 + 0.15 * rng.standard_normal((count, corners)).clip(-2, 2))
    centre = rng.uniform(130, side - 130, (count, 2, 1))
    xy = np.stack([centre[:, 0] + radius * np.cos(angle), centre[:, 1] + radius * np.sin(angle)], axis=-1)
    return np.round(xy.reshape(count, -1), 2).astype(np.float32)


def batch_input(number: int, pictures: int, outlines: int, points: np.ndarray):
    """A batch of generated labels; pictures by reference."""
    import pyarrow as pa

    from analytics.cover import COVER_SCHEMA
    from analytics.release import BatchInput
    from labels.schema import Kind, Shape

    names, images, shapes = ("Porites", "Acropora", "Pocillopora"), [], []
    batch = f"reef.{number:04d}"
    for k in range(pictures):
        image_id = f"{number * pictures + k:016x}"
        images.append(
            {"image_id": image_id, "batch": batch, "survey": "reef", "file": f"{image_id}.jpg", "site": "Temae"}
            | {"year": 2021, "quadrat": str(number * pictures + k), "width": SIDE, "height": SIDE, "raw_sha256": "r"}
            | {"rectified_sha256": "s", "clean_sha256": image_id, "clean_uri": f"images/clean/{image_id}.jpg"}
            | {"mask_sha256": None, "homography": [1.0, 0, 0, 0, 1, 0, 0, 0, 1], "side_px": SIDE, "frame_cm": 100.0}
        )
        for j in range(outlines):
            flat = points[(k * outlines + j) % len(points)].tolist()
            shapes.append(Shape(image_id, f"{image_id}:{j:04d}", Kind.POLYGON, names[j % 3], flat, model="m@1"))
    return BatchInput(batch, images, shapes, pa.Table.from_pylist([], schema=COVER_SCHEMA))


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def export(what: str, folder: Path) -> dict[str, float]:
    """Time from a label table in memory to the file of one format on disk."""
    from labels.formats.coco import coco_images, coco_instances, coco_text, instance_categories
    from labels.formats.common import LEVEL, Picture, zip_entry
    from labels.formats.yolo import yolo_seg
    from labels.schema import shapes_to_table, table_to_shapes
    from labels.taxonomy import load_taxonomy

    taxonomy = load_taxonomy("demo-reef")
    each, many, points = 100, POLYGONS // IMAGES, rings(POLYGONS, 1)
    size = each * many
    tables, pictures = [], []
    for n in range(IMAGES // each):
        given = batch_input(n, each, many, points[n * size : (n + 1) * size])
        tables.append(shapes_to_table(given.shapes))
        pictures.append([Picture(r["image_id"], r["clean_uri"], SIDE, SIDE, split="train") for r in given.images])
    del given, points
    started = time.perf_counter()
    reading, images = 0.0, []
    text = coco_text(instance_categories(taxonomy))
    with (folder / what).open("wb") as file:
        archive = zipfile.ZipFile(file, "w") if what == "yolo" else None
        for n, table in enumerate(tables):
            began = time.perf_counter()
            shapes, first = table_to_shapes(table), n * each + 1
            reading += time.perf_counter() - began
            if what == "coco":
                file.write(b"," if n else text.head)
                file.write(coco_instances(pictures[n], shapes, taxonomy, first, n * size + 1))
                images += coco_images(pictures[n], first)
            elif archive:
                for name, data in yolo_seg(pictures[n], shapes, taxonomy).items():
                    archive.writestr(zip_entry(name), data, compresslevel=LEVEL)
        if what == "coco":
            file.write(text.middle + b",".join(images) + text.tail)
        elif archive:
            archive.close()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "from_objects": seconds - reading, "peak_mb": peak_mb()}


DATUMARO = """
import json, sys, time
import numpy as np
from datumaro.components.annotation import AnnotationType, LabelCategories, Polygon
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
what, points, images, side, out = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
each = len(points) // images
items = [DatasetItem(id=f"{k:016x}", subset="val" if k % 2 else "train",
    media=Image.from_file(path=f"{k:016x}.jpg", size=(side, side)),
    annotations=[Polygon((points[k * each + j] + 0.5).tolist(), label=j % 3, id=k * each + j + 1)
                 for j in range(each)]) for k in range(images)]
data = Dataset.from_iterable(items, categories={AnnotationType.label: LabelCategories.from_iterable(["a", "b", "c"])})
started = time.perf_counter()
data.export(out, what, save_media=False)
print(json.dumps({"seconds": time.perf_counter() - started}))
"""


def datumaro(what: str) -> float | None:
    """Seconds that datumaro takes for the same polygons; ``None`` where it is not installed."""
    python = os.environ.get("BENCH_DATUMARO")
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/points.npy", rings(POLYGONS, 1))
        command = [python, "-c", DATUMARO, what, f"{folder}/points.npy", str(IMAGES), str(SIDE), f"{folder}/out"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            print(done.stderr[-800:], file=sys.stderr)
            return None
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def big(folder: Path) -> dict[str, float]:
    """A release of 100,000 pictures in the default formats, into a store on disk."""
    from analytics.release import ReleasePlan, write_release
    from labels.taxonomy import load_taxonomy
    from resources.object_store import LocalStore
    from resources.releases import ReleaseShelf

    points = rings(BATCH * OUTLINES, 2)
    plan = ReleasePlan(
        "big-1", [f"reef.{n:04d}" for n in range(BIG // BATCH)], "", load_taxonomy("demo-reef"), "CC0-1.0", None
    )
    started = time.perf_counter()
    write_release(
        plan,
        lambda batch: batch_input(int(batch[-4:]), BATCH, OUTLINES, points),
        ReleaseShelf(LocalStore(folder), "big-1"),
        scratch=folder,
    )
    return {"seconds": time.perf_counter() - started, "peak_mb": peak_mb()}


def alone(what: str) -> dict[str, float]:
    """A measurement in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.bench_release", what, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _beside_datumaro() -> tuple[dict[str, float], dict[str, object]]:
    """COCO only: datumaro's YOLO exporters write boxes, no outlines.

    Returns:
        The best of our runs, and the row of both.
    """
    mine, other = [], []
    for _ in range(TIMES):  # in turns: what else the machine does strikes both
        mine.append(alone("coco"))
        other.append(datumaro("coco_instances"))
    ours = min(run["from_objects"] for run in mine)
    seconds = [found for found in other if found is not None]
    theirs = min(seconds) if seconds else None
    ratio = round(theirs / ours, 2) if theirs else None
    alike = (
        f"same polygons, both from objects in memory, best of {TIMES} each in turns, every run a process of its own "
        f"(ours: {ours:.3f} s)"
    )
    row: dict[str, object] = {
        "name": "coco_export.vs_datumaro",
        "value": ratio,
        "unit": "x",
        "reference": "seconds of datumaro's own exporter",
        "reference_value": round(theirs, 2) if theirs else None,
        "ratio": ratio,
        "note": alike if theirs else "set BENCH_DATUMARO to the python of an environment that has datumaro",
    }
    return min(mine, key=_seconds), row


def rows() -> list[dict[str, object]]:
    """One row per figure."""
    data = f"{IMAGES} pictures, {POLYGONS} polygons of 40 points, from an Arrow table to the file"
    best, beside = _beside_datumaro()
    made = [beside]
    for what, ours in (("coco", best), ("yolo", min((alone("yolo") for _ in range(TIMES)), key=_seconds))):
        made += [
            {"name": f"{what}_export.seconds", "value": round(ours["seconds"], 3), "unit": "s",
             "note": f"{data}; best of {TIMES}"},
            {"name": f"{what}_export.peak_mb", "value": round(ours["peak_mb"], 1), "unit": "MB", "note": data},
        ]  # fmt: skip
    found = alone("big")
    note = f"{BIG} pictures, {BIG * OUTLINES} polygons, Parquet, COCO, YOLO and CVAT, with self-check"
    return [
        *made,
        {"name": "release.peak_mb_100k", "value": round(found["peak_mb"], 1), "unit": "MB", "note": note},
        {"name": "release.seconds_100k", "value": round(found["seconds"], 1), "unit": "s", "note": note},
    ]


def _seconds(run: dict[str, float]) -> float:
    return run["seconds"]


if __name__ == "__main__":
    kind, place = sys.argv[1], Path(sys.argv[2])
    print(json.dumps(big(place) if kind == "big" else export(kind, place)))
