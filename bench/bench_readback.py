"""A release's Datumaro files as datumaro itself reads them: the least IoU of any object with its source.

datumaro's pins conflict with ours, so it runs in an environment of its own: ``BENCH_DATUMARO`` names its python.
ultralytics, the other program that releases are made for, has a test of its own (it is in the torch extra).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon

from bench.bench_release import SIDE, batch_input, rings

PICTURES, OUTLINES = 60, 12

READ = """
import json, sys
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
data = Dataset.import_from(sys.argv[1], "datumaro")
names = [label.name for label in data.categories()[AnnotationType.label]]
found = []
for item in data:
    for mark in item.annotations:
        polygon = mark.type == AnnotationType.polygon
        body = list(map(float, mark.points)) if polygon else mark.image.nonzero()
        rows = None if polygon else [int(v) for v in body[0] * mark.image.shape[1] + body[1]]
        found.append([item.id, item.subset, names[mark.label], body if polygon else None, rows])
print(json.dumps(found))
"""


def rows() -> list[dict[str, object]]:
    """One row."""
    python = os.environ.get("BENCH_DATUMARO")
    base: dict[str, object] = {"name": "release.datumaro_least_iou", "unit": "IoU"}
    if not python:
        note = "set BENCH_DATUMARO to the python of an environment that has datumaro"
        return [{**base, "value": None, "note": note}]
    with tempfile.TemporaryDirectory() as folder:
        source = _release(Path(folder))
        done = subprocess.run([python, "-c", READ, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-800:], file=sys.stderr)
        return [{**base, "value": None, "note": "datumaro could not read the release"}]
    found = json.loads(done.stdout.splitlines()[-1])
    objects = sum(map(len, source.values()))
    note = f"{objects} objects in {PICTURES} pictures, one in four with a hole, read by datumaro's own importer"
    return [{**base, "value": round(_least(source, found), 6), "note": note}]


def _release(folder: Path) -> dict[tuple[str, str], list[Polygon]]:
    """Write a release's Datumaro files as datumaro expects them; its objects by picture and taxon."""
    from analytics.geometry import outline_geometry
    from analytics.release import ReleasePlan, write_release
    from labels.taxonomy import load_taxonomy
    from resources.object_store import LocalStore
    from resources.releases import ReleaseShelf, release_key

    given = batch_input(1, PICTURES, OUTLINES, rings(PICTURES * OUTLINES, 7))
    for number, shape in enumerate(given.shapes):
        if number % 4 == 0:
            middle = np.reshape(shape.points, (-1, 2)).mean(axis=0)
            shape.holes = [(middle + np.array([[-4, -4], [4, -4], [4, 4], [-4, 4]])).ravel().tolist()]
    store = LocalStore(folder / "store")
    plan = ReleasePlan("r-1", [given.batch], "", load_taxonomy("demo-reef"), "CC0-1.0", None, ("datumaro",))
    write_release(plan, lambda _: given, ReleaseShelf(store, "r-1"))
    (folder / "annotations").mkdir()
    for split in ("train", "val", "test"):
        store.get_file(release_key("r-1", f"datumaro/{split}.json"), folder / "annotations" / f"{split}.json")
    objects: dict[tuple[str, str], list[Polygon]] = {}
    for shape in given.shapes:
        objects.setdefault((shape.image_id, shape.label), []).append(outline_geometry(shape))
    return objects


def _least(source: dict[tuple[str, str], list[Polygon]], found: list[list]) -> float:
    """The least IoU of the objects; 0 where one is missing or there are too many."""
    read: dict[tuple[str, str], list] = {}
    for image_id, _, label, points, pixels in found:
        read.setdefault((image_id, label), []).append((points, pixels))
    if {key: len(v) for key, v in source.items()} != {key: len(v) for key, v in read.items()}:
        return 0.0
    return min(_iou(true, mark) for key in source for true, mark in zip(source[key], read[key], strict=True))


def _iou(true: Polygon, mark: tuple) -> float:
    points, pixels = mark
    if points is not None:
        shape = Polygon(np.reshape(points, (-1, 2)) - 0.5)
        return shape.intersection(true).area / shape.union(true).area
    from labels.formats.common import Picture
    from labels.formats.common import pixels as painted
    from labels.schema import Kind, Shape

    holes = [np.asarray(ring.coords[:-1]).ravel().tolist() for ring in true.interiors]
    shape = Shape("x", "x", Kind.POLYGON, "x", np.asarray(true.exterior.coords[:-1]).ravel().tolist(), holes)
    own = painted(shape, Picture("x", "x", SIDE, SIDE))
    y, x = np.nonzero(own.mask)
    mine = set(((y + own.top) * SIDE + x + own.left).tolist())
    theirs = set(pixels)
    return len(mine & theirs) / len(mine | theirs)
