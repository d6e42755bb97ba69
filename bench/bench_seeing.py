"""How well the finders see: corners on real and generated photos, lattice nodes and lattice removal on generated ones.

The Moorea photos (15, with 60 corners marked by eye) are read from ``../shared`` and left out where that is absent.
Generated photos come from seeds that no finder was tuned on. References: for nodes the ideal lattice laid into the
found corners (a plain homography), for removal the picture with its strings left in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from inference.corners import find_corners
from inference.lattice import find_lattice
from inference.rectify import rectify
from inference.removal import measured_mask, remove_lattice
from labels.lattice import load_topology
from labels.transforms import Rectification

ROOT = Path(__file__).resolve().parents[1]
SIDE = 1920
HELD_OUT_SEEDS = range(9001, 9013)
DIFFICULTIES = (0.2, 0.4, 0.6, 0.8)


def rows() -> list[dict[str, object]]:
    """One dict a figure: name, value, unit, reference, reference_value, ratio, note."""
    return [*moorea_rows(), *generated_rows()]


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


def moorea_rows() -> list[dict[str, object]]:
    """Corners of the real photos against the marks; nothing when the photos are absent."""
    reef = ROOT.parent / "shared" / "data" / "reef"
    truth = json.loads((ROOT / "tests" / "inference" / "moorea_corners.json").read_text(encoding="utf-8"))["corners"]
    paths = {name: next(iter(reef.rglob(name)), None) for name in truth} if reef.is_dir() else {}
    errors = []
    for name, path in paths.items():
        if path is None:
            continue
        photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        found = find_corners(photo).points
        miss = np.full(4, np.inf) if found is None else np.hypot(*(found - np.array(truth[name])).T)
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


def generated_rows() -> list[dict[str, object]]:
    """Corners, nodes and removal on generated photos with known truth."""
    from inference.scenes import render_quadrat

    topology = load_topology()
    corner_px, node_px, plain_px, clean_db, strung_db = [], [], [], [], []
    for i, seed in enumerate(HELD_OUT_SEEDS):
        scene = render_quadrat(seed, difficulty=DIFFICULTIES[i % len(DIFFICULTIES)])
        found = find_corners(scene.image).points
        if found is None:
            corner_px.append(np.full(4, np.inf))
            continue
        truth = Rectification.from_corners(scene.corners, SIDE, 100.0)
        square_corners = np.array([[0, 0], [SIDE - 1, 0], [SIDE - 1, SIDE - 1], [0, SIDE - 1]])
        corner_px.append(np.hypot(*(truth.to_rectified(found) - square_corners).T))
        nodes = Rectification.from_corners(found, SIDE, 100.0).to_rectified(scene.nodes)
        finding = find_lattice(rectify(scene.image, found, SIDE), topology)
        node_px.append(np.hypot(*(finding.nodes - nodes).T))
        plain_px.append(np.hypot(*(topology.ideal(SIDE) - nodes).T))
        # Removal is measured in the true square, where the generator can leave the strings out.
        strung, bare = scene.rectified(SIDE), scene.clean(SIDE)
        own = find_lattice(strung, topology)
        clean = remove_lattice(strung, measured_mask(strung, own.nodes, topology, own.outside))
        clean_db.append(_psnr(clean, bare))
        strung_db.append(_psnr(strung, bare))
    corner = np.array(corner_px)
    good = corner[np.isfinite(corner).all(axis=1)]
    node, plain = np.concatenate(node_px), np.concatenate(plain_px)
    note = f"{len(corner)} generated photos, held-out seeds, in pixels of the {SIDE} px square"
    base = "ideal lattice in the found corners"
    return [
        _row("corners.mean_px", float(good.mean()), "px", note),
        _row("corners.max_px", float(good.max()), "px", note),
        _row("corners.found_share", float((corner.mean(axis=1) < 8).mean()), "share of photos", note),
        _row("nodes.mean_px", float(node.mean()), "px", note, base, float(plain.mean())),
        _row("nodes.p99_px", float(np.percentile(node, 99)), "px", note, base, float(np.percentile(plain, 99))),
        _row("removal.psnr_db", float(np.mean(clean_db)), "dB", note, "strings left in", float(np.mean(strung_db))),
    ]


def _psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    error = float(((picture.astype(np.float64) - truth) ** 2).mean())
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


if __name__ == "__main__":
    json.dump(rows(), sys.stdout, indent=2)
    sys.stdout.write("\n")
