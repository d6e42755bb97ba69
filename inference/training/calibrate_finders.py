"""Fit what the finders' scores and uncertainties mean, on validation scenes; writes ``inference/calibration.yaml``.

    python -m inference.training.calibrate_finders --scenes 240
    python -m inference.training.calibrate_finders --scenes 240 --only corners

A score is the probability that a person would move nothing by more than 5 px (of a picture straightened to 1920). Run
it after training the finders; ``bench/bench_seeing.py`` then measures on test scenes what the scores promise.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.optimize import minimize

from inference.calibration import FILE, Calibration
from inference.corners import CornerFinding, find_corners, open_corner_finder
from inference.lattice import find_lattice, open_lattice_finder
from inference.lattice.learned import score_features
from inference.lattice.merging import Merged, uncertainty_features
from inference.rectify import rectify
from inference.registry import ModelRegistry
from inference.scenes import render_scene, split_seeds
from inference.scenes.settings import SWITCHES
from labels.lattice import load_topology
from labels.transforms import Rectification

SIDE = 1920
TOLERANCE_PX = 5.0
SIZE = (1680, 1400)
_SQUARE = np.array([[0, 0], [SIDE - 1, 0], [SIDE - 1, SIDE - 1], [0, SIDE - 1]], float)
_RIDGE = 0.02
_WITHIN = 0.683
_FAR_PX = 60.0
_GATE, _PROMISE = 0.9, 0.01


@dataclass(frozen=True, slots=True)
class Looked:
    """The nodes of one picture as network and strings gave them, how far off they are (px), and which can be seen."""

    merged: Merged
    error: NDArray[np.float64]
    visible: NDArray[np.bool_]


@dataclass(slots=True)
class Observed:
    """One scene as the finders saw it: features, and whether a person would have let the finding stand."""

    rows: list[tuple[str, dict[str, float], bool]] = field(default_factory=list)
    looked: Looked | None = None


def setting_for(number: int) -> str:
    """A fifth is easy, two are usual or hard each, the rest has one trouble each."""
    return ("easy", "usual", "hard", "hard", list(SWITCHES)[number // 5 % len(SWITCHES)])[number % 5]


def observe(seed: int, setting: str, only: str | None = None) -> Observed:
    """Run all finders on one scene, or with ``only="corners"`` those of corners."""
    cv2.setNumThreads(1)
    scene = render_scene(seed, setting, size=SIZE)
    models, topology, seen = ModelRegistry(), load_topology(), Observed()
    learned = open_corner_finder(models, threads=1).find(scene.image)
    plain = find_corners(scene.image)
    frames = [frame.corners for frame in scene.frames]
    for name, finding in (("corners-learned", learned), ("corners-opencv", plain)):
        if finding.points is not None:
            features = dict(finding.evidence)
            if name == "corners-opencv":
                features["defects"] = float(len(finding.defects) > 0)
            seen.rows.append((name, features, corner_error(finding, frames) <= TOLERANCE_PX))
    if only == "corners" or len(frames) != 1 or learned.points is None or corner_error(learned, frames) > _FAR_PX:
        return seen
    square = rectify(scene.image, learned.points, SIDE)
    nodes = Rectification.from_corners(learned.points, SIDE, 100.0).to_rectified(scene.frame.nodes)
    visible = scene.frame.visible
    geometric = find_lattice(square, topology)
    if geometric.evidence:
        features = {**geometric.evidence, "defects": float(len(geometric.defects) > 0)}
        seen.rows.append(("lattice-opencv", features, _stands(geometric.nodes, nodes, visible)))
    finder = open_lattice_finder(models, topology, threads=1)
    if finder.engine is not None:
        looked = finder.look(square, finder.engine.predict(finder.prepare(square))[0][0])
        if looked is not None:
            seen.looked = Looked(looked[0], np.hypot(*(looked[0].nodes - nodes).T), visible)
    return seen


def corner_error(finding: CornerFinding, frames: Sequence[NDArray[np.float64]]) -> float:
    """Largest distance of a found corner from the nearest frame's, in pixels of that frame straightened to 1920."""
    if finding.points is None or not frames:
        return float("inf")
    errors = []
    for corners in frames:
        found = Rectification.from_corners(corners, SIDE, 100.0).to_rectified(finding.points)
        errors.append(float(np.hypot(*(found - _SQUARE).T).max()))
    return min(errors)


def _stands(found: NDArray[np.float64], truth: NDArray[np.float64], visible: NDArray[np.bool_]) -> bool:
    return bool(np.hypot(*(found - truth).T)[visible].max(initial=0.0) <= TOLERANCE_PX)


Fitted = tuple[float, dict[str, float], dict[str, int]]
"""Intercept, weights by feature, and what it was fitted to."""


def fit_logistic(features: Sequence[Mapping[str, float]], right: Sequence[bool]) -> Fitted:
    """Ridge logistic regression; intercept and weights in the features' own units."""
    names = sorted(features[0])
    x = np.array([[row[name] for name in names] for row in features])
    y = np.array(right, float)
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    # Shrink towards the base rate, as if a little had been seen of both outcomes.
    target = (y * len(y) + 0.5) / (len(y) + 1)

    def cost(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value = z @ w
        chance = 1 / (1 + np.exp(-np.clip(value, -40, 40)))
        loss = np.logaddexp(0, value).sum() - target @ value + 0.5 * _RIDGE * len(y) * (w[1:] ** 2).sum()
        return float(loss), z.T @ (chance - target) + _RIDGE * len(y) * np.concatenate([[0], w[1:]])

    solved = minimize(cost, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    weights = solved[1:] / spread
    intercept = float(solved[0]) - float(weights @ mean)
    return intercept, dict(zip(names, weights.tolist(), strict=True)), {"scenes": len(y), "right": int(y.sum())}


def cautious(fitted: Fitted, features: Sequence[Mapping[str, float]], right: Sequence[bool]) -> Fitted:
    """The fit with its intercept lowered until of the findings over the gate's score at most 1 in 100 is wrong."""
    intercept, weights, counts = fitted
    model = Calibration("", intercept, weights)
    values = np.array([float(model.value(row)) for row in features])
    order = np.argsort(-values)
    wrong = np.cumsum(~np.array(right, bool)[order]) / np.arange(1, len(order) + 1)
    kept = np.flatnonzero(wrong <= _PROMISE)
    least = values[order[kept[-1]]] if len(kept) else values.max()
    gate = float(np.log(_GATE / (1 - _GATE)))
    return intercept - max(0.0, float(least) - gate), weights, counts


def fit_magnitude(features: dict[str, NDArray[np.float64]], error_px: NDArray[np.float64]) -> Fitted:
    """Least squares of the logarithm of the errors, raised so that two in three errors are below."""
    names = sorted(features)
    x = np.column_stack([np.ones(len(error_px)), *[features[name] for name in names]])
    target = np.log(np.maximum(error_px, 0.05))
    weights = np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ target)
    intercept = float(weights[0]) + float(np.quantile(target - x @ weights, _WITHIN))
    return intercept, dict(zip(names, weights[1:].tolist(), strict=True)), {"nodes": len(error_px)}


def _entry(intercept: float, weights: dict[str, float], counts: dict[str, int]) -> dict[str, object]:
    return {"intercept": round(intercept, 4), "weights": {k: round(v, 4) for k, v in weights.items()}, **counts}


def calibrations(observed: Sequence[Observed]) -> Iterator[tuple[str, dict[str, object]]]:
    """All entries of the file that the observations are enough for."""
    rows = [row for seen in observed for row in seen.rows]
    looked = [seen.looked for seen in observed if seen.looked is not None]
    if looked:
        # The lattice's score rests on uncertainties, so those are fitted before it.
        parts = [uncertainty_features(one.merged, SIDE) for one in looked]
        joined = {
            name: np.concatenate([part[name][one.visible] for part, one in zip(parts, looked, strict=True)])
            for name in parts[0]
        }
        intercept, weights, counts = fit_magnitude(joined, np.concatenate([one.error[one.visible] for one in looked]))
        yield "lattice-uncertainty", _entry(intercept, weights, counts)
        size = Calibration("lattice-uncertainty", intercept, weights)
        for one, part in zip(looked, parts, strict=True):
            features = score_features(one.merged, size.magnitude(part), SIDE)
            rows.append(("lattice-learned", features, bool(one.error[one.visible].max(initial=0.0) <= TOLERANCE_PX)))
    for name in sorted({row[0] for row in rows}):
        own = [row for row in rows if row[0] == name]
        features, right = [row[1] for row in own], [row[2] for row in own]
        fitted = fit_logistic(features, right)
        yield name, _entry(*(cautious(fitted, features, right) if name.startswith("corners") else fitted))


def main() -> None:
    """Observe the validation scenes and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=240)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=["corners"], help="leave the other entries of the file as they are")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    seeds = split_seeds("validation", options.scenes, start=1000)
    settings = [setting_for(number) for number in range(options.scenes)]
    with ProcessPoolExecutor(options.workers) as pool:
        observed = list(pool.map(partial(observe, only=options.only), seeds, settings, chunksize=2))
    head = (
        "# What the finders' scores and uncertainties mean; fitted by inference.training.calibrate_finders on\n"
        f"# generated validation scenes of {SIZE[0]} x {SIZE[1]} px, seeds {seeds.start} to {seeds.stop - 1}.\n"
        f"# Score: probability that nothing is off by over {TOLERANCE_PX:g} px of {SIDE}. Uncertainty: two in three\n"
        "# nodes lie nearer than this.\n"
    )
    kept = yaml.safe_load(options.out.read_text(encoding="utf-8")) if options.only else {}
    body = yaml.safe_dump({**kept, **dict(calibrations(observed))}, sort_keys=True)
    options.out.write_text(head + body, encoding="utf-8")
    print(body)


if __name__ == "__main__":
    main()
