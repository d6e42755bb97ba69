"""Self-checks: do corners and lattice nodes look like a frame and its strings?

Each check answers with readable one-line defects, empty when all is well. They need no picture, so labels corrected
by a person can be checked too. A gate with the policy ``when_doubtful`` sends pictures with defects to a person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labels.lattice import LatticeTopology

CORNER_NAMES = ("1 (top left)", "2 (top right)", "3 (bottom right)", "4 (bottom left)")

# A square frame photographed from above, tilted by 30 degrees at most, keeps within these.
MAX_ASPECT = 1.6
MAX_OPPOSITE = 1.8
MAX_CORNER_ANGLE_OFF = 35.0
MIN_AREA_SHARE = 0.08
MIN_SIDE_PX = 32
# Residuals are judged at the usual 1920 px; strings are drawn 3-10 px wide there.
MAX_RESIDUAL_PX = 12.0
MAX_MISSING_SHARE = 0.15
MAX_NODE_SHIFT = 0.5


def check_corners(points: ArrayLike | None, width: int, height: int) -> list[str]:
    """What is wrong with four corners.

    Args:
        points: ``(4, 2)`` raw pixels in the order 1 TL, 2 TR, 3 BR, 4 BL, or None when none were found.
        width: of the raw photo, pixels.
        height: of the raw photo, pixels.
    """
    if points is None:
        return ["no corners"]
    quad = np.asarray(points, dtype=np.float64)
    if quad.shape != (4, 2) or not np.isfinite(quad).all():
        return [f"expected four finite corners, got shape {quad.shape}"]
    defects = [
        f"corner {name} lies outside the picture (x {x:.0f}, y {y:.0f}; picture {width} x {height})"
        for name, (x, y) in zip(CORNER_NAMES, quad, strict=True)
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5)
    ]
    return defects + (_order_defects(quad) or _shape_defects(quad, width, height))


def _order_defects(quad: NDArray[np.float64]) -> list[str]:
    edges = np.roll(quad, -1, axis=0) - quad
    after = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0]
    if (turns < 0).all():
        return ["corners run anticlockwise: expected 1 top left, 2 top right, 3 bottom right, 4 bottom left"]
    if not (turns > 0).all():
        return ["corners do not form a convex four-sided frame: two are swapped, or three lie on a line"]
    # Convex and clockwise: the order can only be turned. The frame's own x axis must point rightwards.
    rightwards = edges[0] - edges[2]
    quarter = round(float(np.degrees(np.arctan2(rightwards[1], rightwards[0]))) / 90) % 4
    if quarter:
        return [f"corners are numbered from the wrong corner: turned by {quarter} of 4 (1 must be the top left)"]
    return []


def _shape_defects(quad: NDArray[np.float64], width: int, height: int) -> list[str]:
    defects = []
    edges = np.roll(quad, -1, axis=0) - quad
    top, right, bottom, left = np.hypot(edges[:, 0], edges[:, 1])
    if min(top, right, bottom, left) < MIN_SIDE_PX:
        defects.append(f"the frame's shortest side is {min(top, right, bottom, left):.0f} px, under {MIN_SIDE_PX}")
    aspect = (top + bottom) / (left + right)
    if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        defects.append(f"the frame is {aspect:.2f} times as wide as high: expected about 1 (at most {MAX_ASPECT})")
    for names, a, b in (("top and bottom", top, bottom), ("left and right", left, right)):
        if max(a, b) > MAX_OPPOSITE * min(a, b):
            defects.append(f"{names} sides differ too much ({a:.0f} and {b:.0f} px)")
    back = -np.roll(edges, 1, axis=0)
    cosine = (edges * back).sum(axis=1) / np.maximum(np.hypot(*edges.T) * np.hypot(*back.T), 1e-9)
    off = np.abs(np.degrees(np.arccos(np.clip(cosine, -1, 1))) - 90)
    if off.max() > MAX_CORNER_ANGLE_OFF:
        defects.append(f"corner {CORNER_NAMES[int(off.argmax())]} is {off.max():.0f} degrees off a right angle")
    x, y = quad.T
    area = 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
    if area < MIN_AREA_SHARE * width * height:
        defects.append(f"the frame fills {area / (width * height):.0%} of the picture, under {MIN_AREA_SHARE:.0%}")
    return defects


def check_lattice(
    nodes: ArrayLike,
    topology: LatticeTopology,
    side_px: int,
    outside: ArrayLike | None = None,
    residual_px: ArrayLike | None = None,
) -> list[str]:
    """What is wrong with lattice nodes.

    Args:
        nodes: ``(n, 2)`` rectified pixels, in the topology's order.
        topology: the lattice the nodes belong to.
        side_px: side of the rectified picture.
        outside: ``(n,)`` bool, True where no string was seen.
        residual_px: ``(n,)`` distance of each measured node from the fitted lattice, pixels.
    """
    points = np.asarray(nodes, dtype=np.float64)
    if points.shape != (topology.size, 2) or not np.isfinite(points).all():
        return [f"expected {topology.size} finite nodes of lattice {topology.name}, got shape {points.shape}"]
    defects = []
    beyond = ((points < -0.02 * side_px) | (points > 1.02 * side_px)).any(axis=1)
    if beyond.any():
        defects.append(f"{_named(topology, beyond)} outside the rectified picture")
    defects += _order_on_strings(points, topology)
    shift = np.hypot(*(points - topology.ideal(side_px)).T) / pitch_px(topology, side_px)
    if (shift > MAX_NODE_SHIFT).any():
        defects.append(f"{_named(topology, shift > MAX_NODE_SHIFT)} more than half a cell from the expected place")
    if outside is not None and (share := float(np.asarray(outside, bool).mean())) > MAX_MISSING_SHARE:
        defects.append(f"no string was seen at {share:.0%} of the nodes, over {MAX_MISSING_SHARE:.0%}")
    if residual_px is not None:
        far = np.asarray(residual_px, np.float64).reshape(-1) * 1920 / side_px > MAX_RESIDUAL_PX
        if far.any():
            limit = MAX_RESIDUAL_PX * side_px / 1920
            defects.append(f"{_named(topology, far)} over {limit:.0f} px from the fitted lattice")
    return defects


def pitch_px(topology: LatticeTopology, side_px: int) -> float:
    """The shortest distance between two neighbours on a string of the ideal lattice, rectified pixels."""
    ideal = topology.ideal(side_px)
    steps = [np.hypot(*np.diff(ideal[list(s)], axis=0).T).min() for s in topology.strings if len(s) > 1]
    return float(min(steps)) if steps else float(side_px)


def _order_on_strings(points: NDArray[np.float64], topology: LatticeTopology) -> list[str]:
    """Neighbours on a string must follow each other in the string's direction, neither crowded nor torn apart."""
    wrong = np.zeros(topology.size, bool)
    for string in topology.strings:
        index = list(string)
        ideal, real = np.diff(topology.unit[index], axis=0), np.diff(points[index], axis=0)
        length = np.maximum(np.hypot(ideal[:, 0], ideal[:, 1]), 1e-9)
        # In units of the side; only ratios along one string are compared.
        progress = (ideal * real).sum(axis=1) / length**2
        typical = np.median(progress)
        bad = (progress <= 0) | (progress < 0.4 * typical) | (progress > 1.8 * typical)
        for i in np.flatnonzero(bad):
            wrong[[index[i], index[i + 1]]] = True
    return [f"{_named(topology, wrong)} out of order or badly spaced along their string"] if wrong.any() else []


def _named(topology: LatticeTopology, which: NDArray[np.bool_] | np.bool_, most: int = 4) -> str:
    ids = [topology.node_ids[i] for i in np.flatnonzero(which)]
    shown = ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
    return f"node{'s' if len(ids) > 1 else ''} {shown}"
