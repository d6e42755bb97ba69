"""The lattice finder with a network: it sees the crossings, geometry numbers them, the strings place them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.calibration import calibration
from inference.engines import Engine
from inference.finders import chosen_model
from inference.footprint import estimate_string_width
from inference.heatmaps import peaks
from inference.lattice.centring import centred
from inference.lattice.finding import OPENCV, LatticeFinding
from inference.lattice.fit import Crossings, cross_strings
from inference.lattice.geometry import find_lattice
from inference.lattice.merging import Merged, merge, uncertainty_features
from inference.lattice.numbering import Numbering, number_crossings
from inference.lattice.strips import Strip, cut_strips
from inference.lattice.tracks import Track, follow, learn_colour
from inference.planes import planes
from inference.registry import ModelRegistry
from inference.selfchecks import check_lattice, pitch_px
from labels.lattice import LatticeTopology

TASK = "lattice"
INPUT_PX = 640
_LEAST_HEAT = 0.2
# Half-widths of the strips: the numbered crossings say where the strings run.
_STRIP_CELLS, _STRIP_SHARE = 0.14, 0.014
_USUAL_WIDTH_SHARE = 5.0 / 1920
# With fewer numbered nodes than this the network does not know these strings, and geometry alone is asked.
_LEAST_NUMBERED = 0.35
_LEAST_PITCH_SHARE = 0.03
_PRIOR_FLOOR = 0.3


class LatticeFinder:
    """Finds one lattice in rectified pictures, with a network or, without an engine, by geometry alone."""

    def __init__(
        self,
        topology: LatticeTopology,
        string_width_px: float | None = None,
        engine: Engine | None = None,
        reference: str = OPENCV,
    ) -> None:
        """``string_width_px``: rectified pixels if the survey states it; ``reference`` goes on every label."""
        self.topology = topology
        self.string_width_px = string_width_px
        self.engine = engine
        self.reference = reference

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's view of a rectified picture ``(S, S, 3)`` uint8 RGB: ``(1, 3, 640, 640)`` float32 0..1.

        Raises:
            ValueError: the picture is not square.
        """
        if image.shape[0] != image.shape[1]:
            raise ValueError(f"a rectified picture is square, got {image.shape[1]} x {image.shape[0]}")
        way = cv2.INTER_AREA if image.shape[0] > INPUT_PX else cv2.INTER_LINEAR
        small = cv2.resize(image, (INPUT_PX, INPUT_PX), interpolation=way)
        return planes(small)[None]

    def finish(self, image: NDArray[np.uint8], outputs: tuple[NDArray[Any], ...]) -> LatticeFinding:
        """The finding from the network's maps ``(1, 2, 160, 160)``; from geometry alone when ``outputs`` is empty."""
        looked = self.look(image, np.asarray(outputs[0][0], np.float32)) if outputs else None
        finding = self._plain(image) if looked is None else _finding(*looked, self.topology, image.shape[0])
        return replace(finding, model=self.reference)

    def find(self, image: NDArray[np.uint8]) -> LatticeFinding:
        """The lattice in one rectified picture ``(S, S, 3)`` uint8 RGB.

        Raises:
            ValueError: the picture is not square.
        """
        return self.finish(image, () if self.engine is None else self.engine.predict(self.prepare(image)))

    def _plain(self, image: NDArray[np.uint8]) -> LatticeFinding:
        finding = find_lattice(image, self.topology, self.string_width_px)
        if not finding.evidence:
            return finding
        features = {**finding.evidence, "defects": float(len(finding.defects) > 0)}
        return replace(finding, score=round(calibration("lattice-opencv").probability(features), 4))

    def look(self, image: NDArray[np.uint8], maps: NDArray[np.float32]) -> tuple[Merged, float] | None:
        """Where network and strings put the nodes, and the strings' width; None when the network sees no such lattice.

        Args:
            image: rectified, ``(S, S, 3)`` uint8 RGB.
            maps: ``(2, 160, 160)`` probabilities of crossings and strings.
        """
        side, topology = image.shape[0], self.topology
        if pitch_px(topology, side) < _LEAST_PITCH_SHARE * side:
            return None
        places, heights = peaks(maps[0], _LEAST_HEAT)
        spots = (places + 0.5) * (side / maps.shape[1]) - 0.5
        numbering = number_crossings(spots, heights, topology, side)
        if numbering.share < _LEAST_NUMBERED:
            return None
        looked = _followed(image, maps[1], topology, numbering, self.string_width_px)
        has = numbering.spot >= 0
        own = np.where(has[:, None], spots[numbering.spot], 0.0)
        merged = merge(topology, side, looked, own, np.where(has, heights[numbering.spot], 0.0))
        width = self.string_width_px or estimate_string_width(image, merged.nodes, topology)
        return merged, float(width)


def open_lattice_finder(
    models: ModelRegistry,
    topology: LatticeTopology,
    choice: str = "auto",
    string_width_px: float | None = None,
    threads: int = 0,
) -> LatticeFinder:
    """The finder a survey asks for.

    Args:
        models: the registry.
        topology: which strings to look for.
        choice: ``auto`` (the registry's model for the task, or geometry alone when it has none), ``opencv``
            (geometry alone), or a model's ``name`` or ``name@version``.
        string_width_px: width of the strings in rectified pixels if the survey states it.
        threads: CPU threads of the network; 0 = all cores.

    Raises:
        ModelError: there is no such model, it is for another task, or its weights are not the registered ones.
    """
    model = chosen_model(models, TASK, choice, threads)
    if model is None:
        return LatticeFinder(topology, string_width_px)
    return LatticeFinder(topology, string_width_px, model.engine, model.reference)


def _followed(
    image: NDArray[np.uint8],
    strings: NDArray[np.float32],
    topology: LatticeTopology,
    numbering: Numbering,
    string_width_px: float | None,
) -> Crossings:
    """Where strings meet, followed in narrow strips along the numbered lattice; first by contrast, then by colour."""
    side = image.shape[0]
    half = min(_STRIP_CELLS * pitch_px(topology, side), _STRIP_SHARE * side)
    strips = cut_strips(image, topology, numbering.expected, half)
    width = string_width_px or max(2.0, _USUAL_WIDTH_SHARE * side)
    priors = [_prior(strip, strings, side) for strip in strips]
    colour = learn_colour(strips, follow(strips, width, None, priors), width)
    tracks = centred(strips, follow(strips, width, colour, priors), colour, width)
    # What a track rests on: its contrast, and whether the network sees a string there.
    weighed = [
        Track(track.offset, np.sqrt(track.evidence * _along(prior, strip, track)))
        for track, prior, strip in zip(tracks, priors, strips, strict=True)
    ]
    return cross_strings(topology, strips, weighed, numbering.expected)


def _prior(strip: Strip, strings: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The network's map of strings at every sample of a strip, ``(m, k)``."""
    cells = strings.shape[0]
    spots = strip.spots[:, None, :] + strip.normals[:, None, :] * strip.offsets[None, :, None]
    grid = ((spots + 0.5) * (cells / side) - 0.5).astype(np.float32)
    seen = cv2.remap(strings, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(_PRIOR_FLOOR + (1 - _PRIOR_FLOOR) * np.clip(2 * seen, 0, 1), np.float32)


def _along(prior: NDArray[np.float32], strip: Strip, track: Track) -> NDArray[np.float64]:
    column = np.clip(np.round(track.offset - strip.offsets[0]).astype(int), 0, prior.shape[1] - 1)
    return prior[np.arange(len(column)), column].astype(np.float64)


def _finding(merged: Merged, width: float, topology: LatticeTopology, side: int) -> LatticeFinding:
    uncertainty = calibration("lattice-uncertainty").magnitude(uncertainty_features(merged, side)) * side / 1920
    outside = merged.outside
    residual = np.where(outside, 0.0, merged.lattice_gap)
    defects = check_lattice(merged.nodes, topology, side, outside, residual)
    features = score_features(merged, uncertainty, side)
    score = calibration("lattice-learned").probability(features)
    if defects and outside.mean() > 0.5:
        score = min(score, 0.3)
    return LatticeFinding(
        merged.nodes,
        outside,
        residual,
        round(score, 4),
        defects,
        width,
        uncertainty_px=uncertainty,
        outliers=merged.outliers,
        evidence=features,
    )


def score_features(merged: Merged, uncertainty: NDArray[np.float64], side: int) -> dict[str, float]:
    """What the score is made of."""
    sure = uncertainty[~merged.outside] * 1920 / side
    return {
        "measured": float(merged.measured.mean()),
        "outside": float(merged.outside.mean()),
        "outliers": float(merged.outliers.mean()),
        "worst": float(np.log(np.max(sure, initial=0.1))),
        "typical": float(np.log(np.median(sure) if len(sure) else 10.0)),
    }
