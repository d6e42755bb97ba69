"""The corner finder with a network, checked by the borders in the picture and by the finder that needs none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.calibration import calibration
from inference.corners.finding import OPENCV, CornerFinding
from inference.corners.geometry import Views, by_borders, frames_of, moved, unusable
from inference.corners.quads import Quad, at_corners, cut_sides, quads
from inference.corners.refine import RefinedFrame, refine_frame
from inference.engines import Engine
from inference.finders import chosen_model
from inference.planes import planes
from inference.registry import ModelRegistry
from inference.selfchecks import check_corners

TASK = "corners"
INPUT_PX = 256
# The network places nineteen of twenty corners this near (share of the frame's side), so borders are searched that far
# from its lines; the bars must be about as wide, to be told from the reef.
_REACH_SHARE = 0.03
# A border that leads a corner farther than this from its peak (share of the frame's side) follows something else.
_STRAY_SHARE = 0.035
_MOST_STRAY = 0.1
_CLEAR = 0.6
_HARDLY_PARTED = 0.7
_LEAST_PROBABILITY = 0.02
_SURE, _INSET_SHARE = 0.7, 0.01
_SECOND_SHARE = 0.5
_FEATURE_FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One frame, located at full size: ``corners`` in pixels of the fine picture, and where it came from."""

    corners: NDArray[np.float64]
    borders: RefinedFrame
    heat: NDArray[np.float64]
    stray: float
    overlap: float
    method: str

    @property
    def evidence(self) -> float:
        """To choose by: what borders and network say together.

        How cleanly bars part from reef counts twice: on photos unlike all that the network was trained on its maps are
        weak and lie off, while an even bar around the reef is what it always was.
        """
        seen = self.borders.score + 2 * self.borders.parted
        return seen + float(self.heat.mean()) + self.overlap - 4 * min(self.stray, _MOST_STRAY)


class CornerFinder:
    """Finds the corners of photos, with a network or, without an engine, by geometry alone."""

    def __init__(self, engine: Engine | None = None, reference: str = OPENCV) -> None:
        """``reference`` goes on every label."""
        self.engine = engine
        self.reference = reference

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's view of a photo ``(H, W, 3)`` uint8 RGB: ``(1, 3, 256, 256)`` float32 0..1, squashed."""
        small = cv2.resize(image, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
        return planes(small)[None]

    def finish(self, image: NDArray[np.uint8], outputs: tuple[NDArray[Any], ...]) -> CornerFinding:
        """The finding from the network's maps ``(1, 5, 64, 64)``; from geometry alone when ``outputs`` is empty."""
        if (reason := unusable(image)) is not None:
            return CornerFinding(None, 0.0, [reason], model=self.reference)
        views = Views.of(image)
        frames = frames_of(views)
        plain = by_borders(views, frames)
        if not outputs:
            return replace(_calibrated_plain(plain), model=self.reference)
        return replace(_combined(views, plain, np.asarray(outputs[0][0], np.float32)), model=self.reference)

    def find(self, image: NDArray[np.uint8]) -> CornerFinding:
        """The corners of one photo ``(H, W, 3)`` uint8 RGB, upright; never an exception for what is in the picture."""
        if self.engine is None or unusable(image) is not None:
            return self.finish(image, ())
        return self.finish(image, self.engine.predict(self.prepare(image)))


def open_corner_finder(models: ModelRegistry, choice: str = "auto", threads: int = 0) -> CornerFinder:
    """The finder a survey asks for.

    Args:
        models: the registry.
        choice: ``auto`` (the registry's model for the task, or geometry alone when it has none), ``opencv``
            (geometry alone), or a model's ``name`` or ``name@version``.
        threads: CPU threads of the network; 0 = all cores.

    Raises:
        ModelError: there is no such model, it is for another task, or its weights are not the registered ones.
    """
    model = chosen_model(models, TASK, choice, threads)
    return CornerFinder() if model is None else CornerFinder(model.engine, model.reference)


def _calibrated_plain(finding: CornerFinding) -> CornerFinding:
    if finding.points is None:
        return finding
    features = {**finding.evidence, "defects": float(len(finding.defects) > 0)}
    return replace(finding, score=round(calibration("corners-opencv").probability(features), 4))


def _combined(views: Views, plain: CornerFinding, maps: NDArray[np.float32]) -> CornerFinding:
    found = quads(maps, views.size)
    candidates = [_from_quad(views, quad, maps) for quad in found[:1]]
    if plain.points is not None:
        candidates.append(_from_borders(views, plain.points, plain.evidence, maps))
    cut = cut_sides(maps[4])
    if not candidates:
        return CornerFinding(None, 0.0, [_nothing(cut)], method="heatmap")
    best = max(candidates, key=lambda c: c.evidence)
    features = _features(best, plain, views)
    probability = calibration("corners-learned").probability(features)
    if probability < _LEAST_PROBABILITY and best.heat.min() < 0.3:
        return CornerFinding(None, 0.0, [_nothing(cut)], method="heatmap", evidence=features)
    fine = (views.fine.shape[1], views.fine.shape[0])
    points = moved(best.corners, fine, views.size)
    defects = check_corners(points, *views.size) + best.borders.defects
    if len(found) > 1 and found[1].score >= _SECOND_SHARE * found[0].score:
        defects.append("two frames in the picture: these are the corners of the clearer one")
    # A frame whose four borders are clearly seen inside the picture is not cut off, whatever the map says.
    inset = float(np.minimum(points, np.array(views.size) - 1 - points).min()) / min(views.size)
    whole = probability > _SURE and inset > _INSET_SHARE
    if cut and not whole:
        defects.append(f"the picture's {' and '.join(cut)} border cuts the frame off: its corners there are guesses")
    return CornerFinding(points, round(probability, 4), defects, best.method, evidence=features)


def _nothing(cut: list[str]) -> str:
    if cut:
        return f"no whole frame: the picture's {' and '.join(cut)} border cuts it off"
    return "no frame found: neither corners nor straight borders form a square opening"


def _from_quad(views: Views, quad: Quad, maps: NDArray[np.float32]) -> _Candidate:
    fine = (views.fine.shape[1], views.fine.shape[0])
    start = moved(quad.corners, (maps.shape[2], maps.shape[1]), fine)
    side = _side(start)
    refined = refine_frame(views.fine, start, reach=_REACH_SHARE * side)
    if float(np.hypot(*(refined.corners - start).T).max()) > _REACH_SHARE * side:
        # What lies at the end of the reach was perhaps only on the way to the border.
        refined = refine_frame(views.fine, refined.corners, reach=_REACH_SHARE * side)
    if refined.parted < _HARDLY_PARTED:
        # A corner under growth is placed by guess, so its two borders may lie farther off than others.
        wider = refine_frame(views.fine, start, reach=2 * _REACH_SHARE * side)
        refined = max(refined, wider, key=lambda one: one.parted)
    stray = np.hypot(*(refined.corners - start).T) / side
    # Where the borders lead elsewhere than the network's clear peak, and are not clear themselves, the peak stands.
    unclear = np.array([min(refined.sides[k - 1].parted, refined.sides[k].parted) < _CLEAR for k in range(4)])
    kept = np.where(((stray > _STRAY_SHARE) & (quad.heat > 0.3) & unclear)[:, None], start, refined.corners)
    return _Candidate(kept, refined, quad.heat, float(stray.max()), quad.overlap, "heatmap+borders")


def _from_borders(
    views: Views, points: NDArray[np.float64], seen: Mapping[str, float], maps: NDArray[np.float32]
) -> _Candidate:
    fine = (views.fine.shape[1], views.fine.shape[0])
    corners = moved(points, views.size, fine)
    cells = moved(points, views.size, (maps.shape[2], maps.shape[1]))
    heat, away, overlap = at_corners(cells, maps)
    stray = float(away.max()) / _side(cells)
    return _Candidate(corners, RefinedFrame(corners, seen["borders"], seen["parted"]), heat, stray, overlap, "borders")


def _features(best: _Candidate, plain: CornerFinding, views: Views) -> dict[str, float]:
    """What the score is made of; lengths as logarithms of shares of the frame's side."""
    fine = (views.fine.shape[1], views.fine.shape[0])
    gap = 0.3
    if plain.points is not None:
        other = moved(plain.points, views.size, fine)
        gap = float(np.hypot(*(other - best.corners).T).max()) / _side(best.corners)
    return {
        "heat": float(best.heat.min()),
        "overlap": best.overlap,
        "borders": best.borders.score,
        "parted": best.borders.parted,
        "stray": float(np.log(min(best.stray, 0.3) + _FEATURE_FLOOR)),
        "finders_apart": float(np.log(min(gap, 0.3) + _FEATURE_FLOOR)),
    }


def _side(corners: NDArray[np.float64]) -> float:
    return float(np.hypot(*(np.roll(corners, -1, axis=0) - corners).T).mean())
