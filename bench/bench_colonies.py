"""Colonies through time: generated quadrats whose colonies are known through the years, photographed with a frame that
does not lie quite where it lay.

Pictures have had their strings removed as in production, so invented pixels lie at the same place in every year.
Outlines are the true ones with a person's shake. Two kinds of misplacement: every corner off by up to 10 pixels, and a
frame put down up to 5 cm (96 pixels) beside its marks and turned by up to 2 degrees. Reference: plain IoU matching of
the outlines as they lie, without registration.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from analytics.colonies import Event, History, Photo, View, follow
from analytics.quality.pairing import pair
from inference.removal import measured_mask, remove_lattice
from inference.scenes.scene import Scene
from inference.scenes.survey import FIRST_YEAR, PlannedPhoto, plan_survey
from labels.lattice import load_topology
from labels.schema import Kind, Shape
from labels.transforms import apply_homography

SIDE = 1920
CM_PER_PX = 100 / (SIDE - 1)
SEED, SITES, QUADRATS, YEARS = 9101, 2, 2, 3
SHAKE_PX = 2.0
REFERENCE_IOU = 0.3


@dataclass(frozen=True)
class Misplacement:
    name: str
    corners_px: float
    shift_px: float
    turn_deg: float

    def matrix(self, rng: np.random.Generator) -> np.ndarray:
        """From the true square's pixels to those of the picture."""
        end = SIDE - 1
        square = np.array([[0, 0], [end, 0], [end, end], [0, end]], np.float32)
        turn = np.deg2rad(rng.uniform(-self.turn_deg, self.turn_deg))
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        moved = (square - end / 2) @ spin.T + end / 2 + rng.uniform(-self.shift_px, self.shift_px, 2)
        moved += rng.uniform(-self.corners_px, self.corners_px, (4, 2))
        return cv2.getPerspectiveTransform(square, moved.astype(np.float32))


CORNERS = Misplacement("corners off by up to 10 px", 10, 0, 0)
FRAME = Misplacement("frame off by up to 5 cm and 2 degrees", 10, 96, 2)


def rows() -> list[dict[str, object]]:
    """Four rows."""
    plans = plan_survey(SEED, SITES, YEARS, QUADRATS)
    tallies = {m.name: Tally() for m in (CORNERS, FRAME)}
    for number, group in enumerate(plans[i : i + YEARS] for i in range(0, len(plans), YEARS)):
        scenes = [plan.paint() for plan in group]
        for misplacement in (CORNERS, FRAME):
            _measure(number, group, scenes, misplacement, tallies[misplacement.name])
    by_corners, by_frame = tallies[CORNERS.name], tallies[FRAME.name]
    pairs, alone = int(by_corners.pairs[2]), int(by_frame.alone[2])
    note = f"{pairs} pairs in {SITES * QUADRATS} generated quadrats, {YEARS} years, growth 8 % a year, deaths, recruits"
    plain = f"IoU >= {REFERENCE_IOU} without registration"
    return [
        _row("colonies.match_f1", by_corners.f1(), "F1 of pairs", f"{note}; {CORNERS.name}", plain, by_corners.plain()),
        _row("colonies.match_f1_moved", by_frame.f1(), "F1 of pairs", f"{note}; {FRAME.name}", plain, by_frame.plain()),
        _row(
            "colonies.event_f1",
            by_frame.events(),
            "F1 of deaths and recruits",
            f"{alone} events; {FRAME.name}",
            None,
            None,
        ),
        _row(
            "colonies.radial_error_mm",
            float(np.median(by_frame.radial)),
            "mm a year",
            f"median error; {FRAME.name}",
            None,
            None,
        ),
    ]


class Tally:
    """Pairs and events that are right, found and true."""

    def __init__(self) -> None:
        self.pairs, self.reference, self.alone = np.zeros(3), np.zeros(3), np.zeros(3)
        self.radial: list[float] = []

    def f1(self) -> float:
        return _f1(self.pairs)

    def plain(self) -> float:
        return _f1(self.reference)

    def events(self) -> float:
        return _f1(self.alone)


def _f1(counts: np.ndarray) -> float:
    right, found, true = counts
    return round(float(2 * right / max(found + true, 1)), 4)


def _sets(found: set, true: set) -> np.ndarray:
    return np.array([len(found & true), len(found), len(true)], float)


def _measure(
    number: int, plans: Sequence[PlannedPhoto], scenes: Sequence[Scene], misplacement: Misplacement, tally: Tally
) -> None:
    rng = np.random.default_rng((SEED, number))
    photos = [_photo(p, s, misplacement.matrix(rng), rng) for p, s in zip(plans, scenes, strict=True)]
    history = follow("site", str(number), photos, {})
    colonies = [{str(c.seed): c for c in plan.colonies} for plan in plans]
    for (earlier, a), (later, b) in itertools.pairwise(zip(photos, colonies, strict=True)):
        seen = [{s.shape_id.split(":")[1] for s in photo.shapes} for photo in (earlier, later)]
        true = {(seed, seed) for seed in seen[0] & seen[1]}
        links = _links(history, earlier, later)
        tally.pairs += _sets(set(links), true)
        tally.reference += _sets(_plain(earlier, later), true)
        gone = {("gone", seed) for seed in a.keys() - b.keys() if seed in seen[0]}
        new = {("new", seed) for seed in b.keys() - a.keys() if seed in seen[1]}
        tally.alone += _sets(_events(history, later), gone | new)
        grown = {seed: (b[seed].radius - a[seed].radius) * _roundness(b[seed]) * 1000 for _, seed in true}
        tally.radial += [abs(mm - grown[j]) for (i, j), mm in links.items() if i == j and j in grown and mm is not None]


def _roundness(colony: object) -> float:
    """Radius of a circle of the outline's area, per mean radius."""
    area = shapely.Polygon(colony.ring_unit).area  # type: ignore[attr-defined]
    return float(np.sqrt(area / np.pi) / colony.radius)  # type: ignore[attr-defined]


def _links(history: History, earlier: Photo, later: Photo) -> dict[tuple[str, str], float | None]:
    """Seeds of the colonies that were paired, with their radial growth."""
    was = {r["colony_id"]: r["shape_id"] for r in history.tracks if r["image_id"] == earlier.image_id}
    return {
        (was[r["colony_id"]].split(":")[1], r["shape_id"].split(":")[1]): r["radial_mm_per_year"]
        for r in history.tracks
        if r["image_id"] == later.image_id and r["shape_id"] and was.get(r["colony_id"])
    }


def _events(history: History, later: Photo) -> set[tuple[str, str]]:
    index = history.used.index(later)
    before = history.used[index - 1].image_id
    was = {r["colony_id"]: r["shape_id"] for r in history.tracks if r["image_id"] == before}
    found = set()
    for row in history.tracks:
        if row["image_id"] == later.image_id and row["event"] == Event.DIED:
            found.add(("gone", was[row["colony_id"]].split(":")[1]))
        if row["image_id"] == later.image_id and row["event"] == Event.RECRUITED:
            found.add(("new", row["shape_id"].split(":")[1]))
    return found


def _plain(earlier: Photo, later: Photo) -> set[tuple[str, str]]:
    one, two = (
        [(s, shapely.Polygon(np.reshape(s.points, (-1, 2))).buffer(0)) for s in p.shapes] for p in (earlier, later)
    )
    iou = np.array([[a.intersection(b).area / a.union(b).area for _, b in two] for _, a in one])
    found = pair(iou, [s.label for s, _ in one], [s.label for s, _ in two], REFERENCE_IOU)
    return {(one[i][0].shape_id.split(":")[1], two[j][0].shape_id.split(":")[1]) for i, j in found.matches}


def _photo(plan: PlannedPhoto, scene: Scene, moved: np.ndarray, rng: np.random.Generator) -> Photo:
    """The picture as it comes out of the platform, and the outlines a person would draw on it."""
    scale = np.diag([SIDE - 1.0, SIDE - 1.0, 1.0])
    to_picture = moved @ scale @ np.linalg.inv(scene.shot.unit_to_raw)
    strung = cv2.warpPerspective(scene.image, to_picture, (SIDE, SIDE))
    nodes = apply_homography(to_picture, scene.nodes)
    mask = measured_mask(strung, nodes, load_topology(), np.zeros(len(nodes), bool))
    clean = remove_lattice(strung, mask)
    year = FIRST_YEAR + plan.year
    shapes = []
    for colony in plan.colonies:
        ring = apply_homography(moved, colony.ring_unit * (SIDE - 1))
        shake = cv2.GaussianBlur(rng.normal(0, 1, (len(ring), 2)), (1, 31), 4, borderType=cv2.BORDER_REFLECT)
        whole = shapely.Polygon(ring + shake * SHAKE_PX / shake.std()).buffer(0)
        inside = whole.intersection(shapely.box(0, 0, SIDE - 1, SIDE - 1))
        if inside.geom_type == "Polygon" and inside.area >= 0.5 * whole.area:
            points = np.asarray(inside.exterior.coords)[:-1].ravel().tolist()
            shapes.append(Shape(str(year), f"{year}:{colony.seed}", Kind.POLYGON, colony.taxon, points))
    view = View(clean, SIDE, SIDE, CM_PER_PX, mask.astype(np.uint8))
    return Photo("bench", str(year), year, (SIDE, SIDE), CM_PER_PX, shapes, lambda: view)


def _row(
    name: str, value: float, unit: str, note: str, reference: str | None, reference_value: float | None
) -> dict[str, object]:
    ratio = round(value / reference_value, 4) if reference_value else None
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": ratio,
        "note": note,
    }
