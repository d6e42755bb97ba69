"""A small made release of painted quadrats, for tests of training and evaluation."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pyarrow as pa

from analytics.cover import COVER_SCHEMA
from analytics.release import BatchInput, ReleasePlan, split_of, write_release
from labels.schema import Kind, Shape
from labels.taxonomy import load_taxonomy
from resources.releases import ReleaseShelf, ask_for_release, release_key

SIDE = 192
NAME = "reef-1"
COLOURS = {"Acropora": (220, 90, 60), "Porites": (90, 160, 220)}


def paint(seed, image_id):
    """A bottom of noise with round colonies of two taxa; the picture and its shapes. Porites have a dead middle."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 60, (SIDE, SIDE, 3)).astype(np.uint8)
    shapes = []
    for slot in range(4):
        x, y = 48 + 96 * (slot % 2) + rng.uniform(-12, 12), 48 + 96 * (slot // 2) + rng.uniform(-12, 12)
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        around = np.stack([np.cos(turn), np.sin(turn)], 1)
        ring = (x, y) + around * rng.uniform(18, 34)
        taxon = str(rng.choice(list(COLOURS)))
        cv2.fillPoly(image, [np.round(ring).astype(np.int32)], COLOURS[taxon])
        holes = []
        if taxon == "Porites":
            hole = (x, y) + around * 7
            cv2.fillPoly(image, [np.round(hole).astype(np.int32)], (40, 40, 40))
            holes = [[float(v) for v in hole.ravel()]]
        points = [float(v) for v in ring.ravel()]
        shapes.append(Shape(image_id, f"{image_id}:{slot:04d}", Kind.POLYGON, taxon, points, holes, source="human"))
    return image, shapes


def make_release(store, train=6, val=6, name=NAME):
    """A release in the store with so many quadrats in each split, one picture each."""
    wanted, images, shapes, quadrat = {"train": train, "val": val, "test": 1}, [], [], 0
    while any(wanted.values()):
        quadrat += 1
        image_id = f"{quadrat:016x}"
        split = split_of("Temae", str(quadrat), image_id)
        if not wanted[split]:
            continue
        wanted[split] -= 1
        picture, mine = paint(quadrat, image_id)
        uri = f"images/clean/{image_id}.png"
        store.put(uri, cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
        shapes += mine
        images.append(
            {
                "image_id": image_id,
                "batch": "reef.0001",
                "survey": "reef",
                "file": f"Temae_2021_{quadrat}.jpg",
                "site": "Temae",
                "year": 2021,
                "quadrat": str(quadrat),
                "width": SIDE,
                "height": SIDE,
                "raw_sha256": "r",
                "rectified_sha256": "s",
                "clean_sha256": "c",
                "clean_uri": uri,
                "mask_sha256": None,
                "homography": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
                "side_px": SIDE,
                "frame_cm": 50.0,
            }
        )
    ask_for_release(store, name, ["reef.0001"])
    cover = pa.Table.from_pylist([], schema=COVER_SCHEMA)
    taxonomy = load_taxonomy("demo-reef")
    plan = ReleasePlan(name, ["reef.0001"], "", taxonomy, "CC-BY-4.0", None)
    write_release(plan, lambda batch: BatchInput(batch, images, shapes, cover), ReleaseShelf(store, name))
    return json.loads(store.get(release_key(name, "release.json")))
