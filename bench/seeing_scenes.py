"""One generated scene through all finders: how far off they are, and what the gates would let through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.corners import CornerFinder, CornerFinding, open_corner_finder
from inference.lattice import find_lattice, open_lattice_finder
from inference.rectify import rectify
from inference.registry import ModelRegistry
from inference.scenes import render_scene
from inference.scenes.settings import SWITCHES
from labels.lattice import load_topology
from labels.survey_model import GatePolicy
from labels.transforms import Rectification

SIDE = 1920
SIZE = (1680, 1400)
TOLERANCE_PX = 5.0
FOUND_PX, COMPLETE_PX = 8.0, 10.0
"""A frame is found with corners this near on average; a lattice complete with every visible node this near."""
_USABLE_PX = 60.0
_SQUARE = np.array([[0, 0], [SIDE - 1, 0], [SIDE - 1, SIDE - 1], [0, SIDE - 1]], float)
_ROUND = ("easy", "easy", "usual", "usual", "usual", "hard", "hard", "hard", "switch", "switch")


@dataclass(slots=True)
class Measured:
    """One scene; distances in pixels of the frame straightened to 1920.

    Attributes:
        setting: the scene's.
        corners: by finder (``learned``, ``opencv``) the distance of each corner; None where none were found.
        nodes: by finder (and ``plain``, the ideal lattice in the found corners) the distance of each visible node.
        passed: by gate whether it would let the picture through.
        wrong: by gate whether a person would have moved something by more than 5 px.
        inside: share of the visible nodes that lie within their stated uncertainty.
    """

    setting: str
    corners: dict[str, NDArray[np.float64] | None] = field(default_factory=dict)
    nodes: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    passed: dict[str, bool] = field(default_factory=dict)
    wrong: dict[str, bool] = field(default_factory=dict)
    inside: float | None = None


def setting_of(number: int) -> str:
    """A fifth is easy, three tenths usual, three tenths hard; the rest has one trouble each, turn by turn."""
    name = _ROUND[number % len(_ROUND)]
    turn = 2 * (number // len(_ROUND)) + number % 2
    return list(SWITCHES)[turn % len(SWITCHES)] if name == "switch" else name


def measure(number: int, seed: int) -> Measured:
    """Paint scene ``number`` of the benchmark and find everything in it."""
    cv2.setNumThreads(1)
    seen = Measured(setting_of(number))
    scene = render_scene(seed, seen.setting, size=SIZE)
    models, frames = ModelRegistry(), [frame.corners for frame in scene.frames]
    findings = {
        "learned": open_corner_finder(models, threads=1).find(scene.image),
        "opencv": CornerFinder().find(scene.image),
    }
    for name, finding in findings.items():
        seen.corners[name] = corner_errors(finding, frames)
    found = findings["learned"]
    seen.passed["corners"] = passes(found.score, found.defects) and found.points is not None
    own = seen.corners["learned"]
    seen.wrong["corners"] = own is None or bool(own.max() > TOLERANCE_PX)
    if len(frames) != 1 or "outside" in scene.frame.corner_states:
        return seen
    usable = found.points is not None and own is not None and own.max() <= _USABLE_PX
    corners = found.points if usable and found.points is not None else scene.frame.corners
    truth = Rectification.from_corners(corners, SIDE, 100.0).to_rectified(scene.frame.nodes)
    _measure_nodes(seen, rectify(scene.image, corners, SIDE), truth, scene.frame.visible, models)
    return seen


def _measure_nodes(
    seen: Measured,
    square: NDArray[np.uint8],
    truth: NDArray[np.float64],
    visible: NDArray[np.bool_],
    models: ModelRegistry,
) -> None:
    topology = load_topology()
    learned = open_lattice_finder(models, topology, threads=1).find(square)
    places = {"learned": learned.nodes, "opencv": find_lattice(square, topology).nodes, "plain": topology.ideal(SIDE)}
    for name, nodes in places.items():
        seen.nodes[name] = np.hypot(*(nodes - truth).T)[visible]
    seen.passed["lattice"] = passes(learned.score, learned.defects)
    seen.wrong["lattice"] = bool(seen.nodes["learned"].max(initial=0.0) > TOLERANCE_PX)
    if len(learned.uncertainty_px):
        seen.inside = float((seen.nodes["learned"] <= learned.uncertainty_px[visible]).mean())


def corner_errors(finding: CornerFinding, frames: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """Distance of each found corner from the nearest frame's, ``(4,)``; None without a finding or a frame."""
    if finding.points is None or not frames:
        return None
    errors = []
    for corners in frames:
        found = Rectification.from_corners(corners, SIDE, 100.0).to_rectified(finding.points)
        errors.append(np.hypot(*(found - _SQUARE).T))
    return min(errors, key=lambda e: float(e.max()))


def passes(score: float, defects: Sequence[str]) -> bool:
    """Whether a gate with the policy ``when_doubtful`` lets the proposal through unseen."""
    return not defects and score >= GatePolicy().min_score
