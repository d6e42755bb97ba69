"""Coral or not, on real photo quadrats: outlines of a small texture model against points that experts have named.

The 15 Moorea pictures (Moorea Coral Reef LTER, CC BY 4.0) carry 200 expert points each and no outlines. Two thirds of
the quadrats train, one third tests; no picture is in both. The model is a stand-in for a real one: colour and texture
at several scales, random Fourier features (Rahimi and Recht 2007), ridge regression. What is tested is all that
follows: its map goes through the semantic segmenter to outlines, and a point counts as coral when it lies in one.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from inference.segmentation import Options, SemanticSegmenter, segment

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "reef"
SIDE = 960
STEP = 2
"""Features are computed at SIDE / STEP."""
SCALES = (1.0, 2.0, 4.0, 8.0, 16.0)
WAVES = 800
RIDGE = 30.0
NEITHER = {"Off"}
"""Frame, tape, ruler: not reef, so neither coral nor not."""
CORALS = {"Millepora"}
"""Counted as coral beside the group "Hard coral": a fire coral builds reef, though it is a hydrozoan."""


@dataclass(frozen=True, slots=True)
class Quadrat:
    """A picture, uint8 RGB with a long side of 1000 px, and its points ``(n, 2)`` in its pixels with coral or not."""

    name: str
    image: NDArray[np.uint8]
    points: NDArray[np.float64]
    coral: NDArray[np.bool_]


def quadrats(folder: Path = SHARED) -> list[Quadrat]:
    """All pictures with points, sorted by name; none where the folder is absent."""
    if not folder.is_dir():
        return []
    with (folder / "annotations" / "labelset.csv").open(encoding="utf-8") as file:
        labels = list(csv.DictReader(file))
    hard = {row["Short_Code"] for row in labels if row["Functional_Group"] == "Hard coral" or row["Name"] in CORALS}
    sizes = (folder.parent / "LICENSES.md").read_text(encoding="utf-8")
    found = []
    for table in sorted((folder / "annotations").glob("mcr_*.csv")):
        path = next(iter(sorted(folder.glob(f"images_*/{table.stem}.jpg"))), None)
        size = re.search(rf"\| {table.stem.split('reef_')[1].rsplit('_', 1)[0]} \| (\d+)x(\d+)", sizes)
        if path is None or size is None:
            continue
        with table.open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["Label"] not in NEITHER]
        found.append(_quadrat(path, (int(size[1]), int(size[2])), rows, hard))
    return found


def _quadrat(path: Path, size: tuple[int, int], rows: list[dict[str, str]], hard: set[str]) -> Quadrat:
    """Points are pixels of the original; pictures are shown at 1000 px."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    scale = 1000 / max(size)
    shown = (round(size[0] * scale), round(size[1] * scale))
    image = cv2.resize(image, shown, interpolation=cv2.INTER_AREA) if image.shape[1::-1] != shown else image
    points = np.array([(float(row["Column"]), float(row["Row"])) for row in rows])
    placed = (points + 0.5) * (np.array(shown) / np.array(size)) - 0.5
    return Quadrat(path.stem, image, placed, np.array([row["Label"] in hard for row in rows]))


def features(view: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour and texture around every pixel, ``(h, w, n)``, of a view ``(3, side, side)`` RGB of 0..1."""
    small = cv2.resize(view.transpose(1, 2, 0), None, fx=1 / STEP, fy=1 / STEP, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2Lab)
    grey = lab[..., 0]
    slope = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    planes = []
    for sigma in SCALES:
        mean = cv2.GaussianBlur(lab, (0, 0), sigma)
        spread = np.sqrt(np.maximum(cv2.GaussianBlur(lab * lab, (0, 0), sigma) - mean * mean, 0))
        planes += [mean, spread, cv2.GaussianBlur(slope, (0, 0), sigma)[..., None]]
    return np.concatenate(planes, axis=2)


class TextureEngine:
    """The model behind the engine protocol: a view in, logits of background and coral out, at half the size."""

    name, device, batch_limit = "texture", "cpu", None
    input_shape = (None, 3, SIDE, SIDE)

    def __init__(self, pictures: list[Quadrat], seed: int = 0) -> None:
        """Fit ridge regression to the points of some pictures."""
        rng = np.random.default_rng(seed)
        seen = [self._at(features(view), points) for view, points in map(_view, pictures)]
        rows, coral = np.concatenate(seen), np.concatenate([one.coral for one in pictures])
        self.middle, self.spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        self.waves = (rng.standard_normal((rows.shape[1], WAVES)) / math.sqrt(rows.shape[1])).astype(np.float32)
        self.phase = rng.uniform(0, 2 * np.pi, WAVES).astype(np.float32)
        lifted = self._lift(rows).astype(np.float64)
        weight = np.where(coral, 0.5 / coral.mean(), 0.5 / (1 - coral.mean()))[:, None]
        gram = lifted.T @ (weight * lifted) + RIDGE * np.eye(lifted.shape[1])
        self.head = np.linalg.solve(gram, lifted.T @ (weight[:, 0] * (2.0 * coral - 1))).astype(np.float32)

    def load(self) -> None:
        """Nothing to do."""

    def unload(self) -> None:
        """Nothing to do."""

    def predict(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """See ``inference.engines.protocol.Engine``."""
        return (np.stack([self._map(view) for view in batch]),)

    def _map(self, view: NDArray[np.float32]) -> NDArray[np.float32]:
        planes = features(view)
        score = (self._lift(planes.reshape(-1, planes.shape[2])) @ self.head).reshape(planes.shape[:2])
        return np.stack([-2 * score, 2 * score])

    def _lift(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        plain = ((rows - self.middle) / self.spread).astype(np.float32)
        waves = np.cos(plain @ self.waves + self.phase) * np.float32(math.sqrt(2 / WAVES)) * 8
        return np.concatenate([waves, plain * np.float32(0.3), np.ones((len(rows), 1), np.float32)], axis=1)

    @staticmethod
    def _at(planes: NDArray[np.float32], points: NDArray[np.float64]) -> NDArray[np.float32]:
        place = np.clip(((points + 0.5) / STEP).astype(int), 0, np.array(planes.shape[1::-1]) - 1)
        return planes[place[:, 1], place[:, 0]]


def _view(one: Quadrat) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The picture as the segmenter shows it, and its points there."""
    task = SemanticSegmenter(None, ("coral",), SIDE, "texture")  # type: ignore[arg-type]
    canvas = task.canvas(one.image)
    factor = np.array([canvas.width / one.image.shape[1], canvas.height / one.image.shape[0]])
    return task.prepare(one.image)[0], (one.points + 0.5) * factor - 0.5


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    share, room = hits / count, z * z / count
    middle = (share + room / 2) / (1 + room)
    half = z * math.sqrt(share * (1 - share) / count + room / count / 4) / (1 + room)
    return middle - half, middle + half


def rows() -> list[dict[str, Any]]:
    """Agreement of outlines with expert points on quadrats that were not trained on; nothing without the pictures."""
    pictures = quadrats()
    if not pictures:
        return []
    test = pictures[2::3]
    train = [one for one in pictures if one not in test]
    task = SemanticSegmenter(TextureEngine(train), ("coral",), SIDE, "texture", Options(0.0, min_area_share=1e-4))
    said, truth = [], []
    for one in test:
        outlines = [Polygon(found.ring, found.holes) for found in segment(one.image, task)]
        said.append(shapely.contains_xy(shapely.union_all(outlines), one.points[:, 0], one.points[:, 1]))
        truth.append(one.coral)
    answer, real = np.concatenate(said), np.concatenate(truth)
    hits = int((answer == real).sum())
    low, high = wilson(hits, len(real))
    by_picture = [float((a == b).mean()) for a, b in zip(said, truth, strict=True)]
    chance = float(answer.mean() * real.mean() + (1 - answer.mean()) * (1 - real.mean()))
    majority = max(float(real.mean()), 1 - float(real.mean()))
    return [
        {
            "name": "seg.moorea_agreement",
            "value": round(hits / len(real), 4),
            "unit": "share of expert points",
            "reference": "always the commoner answer",
            "reference_value": round(majority, 4),
            "ratio": round(hits / len(real) / majority, 3),
            "note": f"coral or not at {len(real)} points of {len(test)} quadrats, trained on the points of "
            f"{len(train)} others; 95 % Wilson interval {low:.3f} to {high:.3f} (points of one picture are alike, so "
            f"the true one is wider: pictures {min(by_picture):.2f} to {max(by_picture):.2f}); kappa "
            f"{(hits / len(real) - chance) / (1 - chance):.2f}; a texture model, not the shipped network",
        }
    ]
