"""How well the finders see: corners and nodes on generated and real photos, and what the gates let through.

300 scenes of the test split, which no finder was trained or calibrated on: easy to hard, and with single troubles.
The Moorea photos (15, with 60 corners marked by eye) are read from ``../shared`` and left out where that is absent.
References: the finders without a network, and for nodes the ideal lattice laid into the found corners.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.seeing_scenes import COMPLETE_PX, FOUND_PX, SIDE, TOLERANCE_PX, Measured, measure
from inference.corners import open_corner_finder
from inference.lattice import find_lattice, open_lattice_finder
from inference.rectify import rectify
from inference.registry import ModelRegistry
from inference.scenes import paint_lattice, split_seeds
from labels.lattice import load_topology
from labels.transforms import Rectification

ROOT = Path(__file__).resolve().parents[1]
SCENES = 300
OPENCV = "finder without a network"


def rows() -> list[dict[str, object]]:
    """One dict a figure: name, value, unit, reference, reference_value, ratio, note."""
    return [*moorea_rows(), *scene_rows(), *painted_moorea_rows()]


def _row(
    name: str, value: float, unit: str, note: str, reference: str | None = None, reference_value: float | None = None
) -> dict[str, object]:
    ratio = round(value / reference_value, 4) if reference_value else None
    shown = None if reference_value is None else round(reference_value, 4)
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "reference": reference,
        "reference_value": shown,
        "ratio": ratio,
        "note": note,
    }


def moorea_photos() -> list[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """The real photos, uint8 RGB, each with its four marked corners; none where they are absent."""
    reef = ROOT.parent / "shared" / "data" / "reef"
    truth = json.loads((ROOT / "tests" / "inference" / "moorea_corners.json").read_text(encoding="utf-8"))["corners"]
    paths = {name: next(iter(reef.rglob(name)), None) for name in truth} if reef.is_dir() else {}
    return [
        (cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.array(truth[name], float))
        for name, path in paths.items()
        if path is not None
    ]


def moorea_rows() -> list[dict[str, object]]:
    """Corners of the real photos against the marks; nothing when the photos are absent."""
    finder, errors = open_corner_finder(ModelRegistry()), []
    for photo, corners in moorea_photos():
        found = finder.find(photo).points
        miss = np.full(4, np.inf) if found is None else np.hypot(*(found - corners).T)
        errors.append(100 * miss / photo.shape[1])
    if not errors:
        return []
    error = np.array(errors)
    found_error = error[np.isfinite(error)]
    note = f"{len(error)} real photos, four corners each marked by eye (reading accuracy about 0.1 %)"
    share = float((error < 1.0).all(axis=1).mean())
    return [
        _row("moorea.corner_error_pct", float(found_error.mean()), "% of picture width", note),
        _row("moorea.corner_error_max_pct", float(found_error.max()), "% of picture width", note),
        _row("moorea.found", share, "share of photos", "all four corners within 1 % of the picture width"),
    ]


def scene_rows(count: int = SCENES) -> list[dict[str, object]]:
    """Corners, nodes and gates on the benchmark's scenes, painted and measured side by side."""
    # A fork would inherit the locks of the engine's threads.
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        seen = list(pool.map(measure, range(count), split_seeds("test", count), chunksize=2))
    return [*corner_rows(seen), *node_rows(seen), *gate_rows(seen)]


def corner_rows(seen: Sequence[Measured]) -> list[dict[str, object]]:
    """Of the photos with one whole frame: distance of the found corners, share of found frames, by setting too."""
    whole = [one for one in seen if one.nodes]
    note = f"{len(whole)} generated photos with one whole frame, test seeds, pixels of the {SIDE} px square"
    learned, plain = (
        np.concatenate([e for one in whole if _found(e := one.corners[n])]) for n in ("learned", "opencv")
    )
    rows = [
        _row("corners.mean_px", float(learned.mean()), "px", note, OPENCV, float(plain.mean())),
        _row("corners.p99_px", _p99(learned), "px", note, OPENCV, _p99(plain)),
    ]
    for setting, group in [("", whole), *_groups(whole)]:
        own, other = (float(np.mean([_found(one.corners[n]) for one in group])) for n in ("learned", "opencv"))
        name = f"corners.found_share{setting}"
        text = note if not setting else f"{len(group)} photos of the setting {setting[1:]}"
        rows.append(_row(name, own, "share of photos", text, OPENCV, other))
    none = [one for one in seen if one.setting == "no-frame"]
    if none:
        share = float(np.mean([one.passed["corners"] for one in none]))
        rows.append(_row("corners.invented_share", share, "share of photos", f"{len(none)} photos without a frame"))
    return rows


def node_rows(seen: Sequence[Measured]) -> list[dict[str, object]]:
    """Distance of the visible nodes and share of complete lattices, by setting too."""
    whole = [one for one in seen if one.nodes]
    learned, opencv, plain = (np.concatenate([one.nodes[n] for one in whole]) for n in ("learned", "opencv", "plain"))
    note = f"visible nodes of {len(whole)} generated photos, test seeds, in the found corners, px of {SIDE}"
    base = "ideal lattice in the found corners"
    rows = [
        _row("nodes.mean_px", float(learned.mean()), "px", note, OPENCV, float(opencv.mean())),
        _row("nodes.p99_px", _p99(learned), "px", note, OPENCV, _p99(opencv)),
        _row("nodes.mean_px_beside_plain", float(learned.mean()), "px", note, base, float(plain.mean())),
    ]
    for setting, group in [("", whole), *_groups(whole)]:
        own, other = (float(np.mean([_complete(one.nodes[n]) for one in group])) for n in ("learned", "opencv"))
        name = f"nodes.complete_share{setting}"
        text = f"every visible node within {COMPLETE_PX:g} px, {len(group)} photos"
        rows.append(_row(name, own, "share of photos", text, OPENCV, other))
        if setting:
            own, other = (float(np.concatenate([one.nodes[n] for one in group]).mean()) for n in ("learned", "opencv"))
            rows.append(_row(f"nodes.mean_px{setting}", own, "px", f"{len(group)} photos", OPENCV, other))
    inside = [one.inside for one in whole if one.inside is not None]
    if inside:
        text = "share of visible nodes within their stated uncertainty; 0.68 is meant"
        rows.append(_row("nodes.within_uncertainty_share", float(np.mean(inside)), "share of nodes", text))
    return rows


def gate_rows(seen: Sequence[Measured]) -> list[dict[str, object]]:
    """What the policy when_doubtful lets through at the default min_score, and how much of that is wrong."""
    rows = []
    gates = {"": ("corners", "lattice"), ".corners": ("corners",), ".lattice": ("lattice",)}
    for suffix, names in gates.items():
        asked = [(one, gate) for one in seen for gate in names if gate in one.passed]
        passed = [(one, gate) for one, gate in asked if one.passed[gate]]
        wrong = float(np.mean([one.wrong[gate] for one, gate in passed])) if passed else 0.0
        everything = float(np.mean([one.wrong[gate] for one, gate in asked]))
        note = f"something over {TOLERANCE_PX:g} px off, of {len(passed)} proposals let through"
        rows += [
            _row(f"gate.wrongly_passed_share{suffix}", wrong, "share", note, "policy never", everything),
            _row(f"gate.passed_share{suffix}", len(passed) / len(asked), "share", f"of {len(asked)} proposals"),
        ]
    return rows


def _groups(whole: Sequence[Measured]) -> list[tuple[str, list[Measured]]]:
    names = sorted({one.setting for one in whole})
    return [(f".{name}", [one for one in whole if one.setting == name]) for name in names]


def _found(errors: NDArray[np.float64] | None) -> bool:
    return errors is not None and bool(errors.mean() < FOUND_PX)


def _complete(errors: NDArray[np.float64]) -> bool:
    return bool(errors.max(initial=0.0) <= COMPLETE_PX)


def _p99(values: NDArray[np.float64]) -> float:
    return float(np.percentile(values, 99))


def painted_moorea_rows() -> list[dict[str, object]]:
    """Nodes of lattices painted on the real photos, inside their true frame; nothing when the photos are absent."""
    topology, finder = load_topology(), open_lattice_finder(ModelRegistry(), load_topology())
    learned, opencv, plain = [], [], []
    photos = moorea_photos()
    for number, (photo, corners) in enumerate(photos):
        for turn in range(2):
            painted = paint_lattice(photo, corners, seed=2 * number + turn)
            square = rectify(painted.image, corners, SIDE)
            nodes = Rectification.from_corners(corners, SIDE, 100.0).to_rectified(painted.frame.nodes)
            for found, errors in (
                (finder.find(square).nodes, learned),
                (find_lattice(square, topology).nodes, opencv),
                (topology.ideal(SIDE), plain),
            ):
                errors.append(np.hypot(*(found - nodes).T))
    if not learned:
        return []
    own, other, base = (np.concatenate(errors) for errors in (learned, opencv, plain))
    note = f"lattices painted on {len(photos)} real photos, two each, px of {SIDE}"
    return [
        _row("nodes_moorea.mean_px", float(own.mean()), "px", note, OPENCV, float(other.mean())),
        _row("nodes_moorea.p99_px", _p99(own), "px", note, OPENCV, _p99(other)),
        _row("nodes_moorea.plain_px", float(base.mean()), "px", "ideal lattice in the true frame"),
    ]


if __name__ == "__main__":
    json.dump(rows(), sys.stdout, indent=2)
    sys.stdout.write("\n")
