"""Whether ground lies on its counterpart: pictures reduced to their forms, compared block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

WORK_PX = 800
"""Long side of the pictures that are compared: 1.25 mm of a 1 m quadrat, finer than the grain of most water."""

GRAIN_PX, FORM_PX = 1.5, 24.0
"""Forms between these sizes are compared: grain changes with every photo, light and water change over large areas."""

BLOCKS, REACH_PX, AGREES_PX = 7, 12, 2.5
"""Blocks along the long side, how far around each is searched, and how near it must be found to agree."""

VALID_SHARE = 0.25
"""Least share of a block that both pictures show and nobody invented."""

SPEAKS = 0.35
"""Least correlation of a block with its counterpart; blocks of bare sand say nothing."""

SPEAKING_SHARE = 1 / 3
"""This share of the blocks must speak for full confidence."""

LEAST_PULLS = 12
"""An affine correction needs this many blocks."""

Picture = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class View:
    """One picture of a quadrat.

    Attributes:
        picture: uint8 RGB ``(h, w, 3)``, of any size.
        width, height: of the frame in which outlines are given, in pixels.
        cm_per_px: scale of that frame.
        invented: ``(h', w')`` mask of invented pixels (not 0), of any size; ``None`` when there are none.
    """

    picture: NDArray[np.uint8]
    width: int
    height: int
    cm_per_px: float
    invented: NDArray[np.uint8] | None = None

    @property
    def size_cm(self) -> tuple[float, float]:
        """Width and height in centimetres."""
        return self.width * self.cm_per_px, self.height * self.cm_per_px

    @property
    def ground(self) -> shapely.Polygon:
        """What the picture shows, in centimetres."""
        edge = 0.5 * self.cm_per_px
        return shapely.box(-edge, -edge, self.size_cm[0] - edge, self.size_cm[1] - edge)


class Forms:
    """A picture made small, grey and even, in which only forms are left."""

    def __init__(self, view: View, per_cm: float) -> None:
        """Reduce a view to ``per_cm`` pixels a centimetre."""
        width, height = (max(16, round(side * per_cm)) for side in view.size_cm)
        size = (width, height)
        grey = cv2.cvtColor(cv2.resize(view.picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        self.valid = np.ones((height, width), np.float32)
        if view.invented is not None:
            invented = (view.invented > 0).astype(np.float32)
            self.valid = (cv2.resize(invented, size, interpolation=cv2.INTER_AREA) < 0.25).astype(np.float32)
        self.form = _even(grey.astype(np.float32), self.valid)
        sx, sy = view.width / width, view.height / height
        # Pixel centres have integer coordinates in both, so their edges meet at -0.5.
        pixels = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
        self.to_cm: Matrix = np.diag([view.cm_per_px, view.cm_per_px, 1.0]) @ pixels

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """The forms as uint8, for finders of features."""
        return np.clip(self.form * 40 + 128, 0, 255).astype(np.uint8)


def _even(grey: Picture, valid: Picture) -> Picture:
    """Differences from the surroundings, in units of how much the surroundings differ; 0 where nothing is known."""

    def blur(picture: Picture, sigma: float) -> Picture:
        weight = cv2.GaussianBlur(valid, (0, 0), sigma)
        return (cv2.GaussianBlur(picture * valid, (0, 0), sigma) / np.maximum(weight, 1e-3)).astype(np.float32)

    smooth = blur(grey, GRAIN_PX)
    detail = smooth - blur(smooth, FORM_PX)
    spread = np.sqrt(blur(detail**2, 2 * FORM_PX))
    return (np.clip(detail / (spread + 1.0), -4, 4) * valid).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Check:
    """What blocks of ground say; ``offsets`` are rows of ``x, y, dx, dy`` in pixels of the later picture."""

    agree: int
    speaking: int
    blocks: int
    offsets: NDArray[np.float64]

    @property
    def confidence(self) -> float:
        """Share of the speaking ground that agrees, 0..1; less where little ground speaks."""
        return self.agree / max(self.speaking, SPEAKING_SHARE * self.blocks, 1.0)

    @property
    def error_px(self) -> float:
        """Median distance of the blocks that agree, in pixels."""
        return float(np.median(np.hypot(*self.offsets[:, 2:].T))) if len(self.offsets) else float("inf")

    @property
    def rank(self) -> tuple[float, float]:
        """For comparison: the higher the better."""
        return round(self.confidence, 2), -self.error_px


def settled(a: Forms, b: Forms, matrix: Matrix) -> tuple[Matrix, Check]:
    """A candidate after the blocks that agree have pulled it into place, as far as that helps."""
    check = check_blocks(a, b, matrix)
    for _ in range(2):
        if len(check.offsets) < LEAST_PULLS:
            break
        places, pulls = check.offsets[:, :2].copy(), check.offsets[:, 2:]
        step, _ = cv2.estimateAffine2D(places, places + pulls, method=cv2.RANSAC, ransacReprojThreshold=1.0)
        if step is None:
            break
        moved = np.vstack([step, [0, 0, 1]]) @ matrix
        again = check_blocks(a, b, moved)
        if again.rank <= check.rank:
            break
        matrix, check = moved, again
    return matrix, check


def check_blocks(a: Forms, b: Forms, matrix: Matrix) -> Check:
    """Look every block of the later picture up around its place in the earlier one, laid over it by the matrix."""
    height, width = b.form.shape
    laid = cv2.warpPerspective(a.form, matrix, (width, height), flags=cv2.INTER_LINEAR)
    valid = cv2.warpPerspective(a.valid, matrix, (width, height), flags=cv2.INTER_NEAREST) * b.valid
    side = max(width, height) // BLOCKS
    agree = speaking = blocks = 0
    offsets = []
    for top in range(REACH_PX, height - side - REACH_PX + 1, side):
        for left in range(REACH_PX, width - side - REACH_PX + 1, side):
            here = np.s_[top : top + side, left : left + side]
            if valid[here].mean() < VALID_SHARE:
                continue
            blocks += 1
            around = laid[top - REACH_PX : top + side + REACH_PX, left - REACH_PX : left + side + REACH_PX]
            likeness = cv2.matchTemplate(around, b.form[here], cv2.TM_CCOEFF_NORMED)
            x, y, peak = _peak(likeness)
            if peak < SPEAKS:
                continue
            speaking += 1
            # A block that lies further left in the earlier picture has to be pulled to the right.
            dx, dy = REACH_PX - x, REACH_PX - y
            if np.hypot(dx, dy) <= AGREES_PX:
                agree += 1
                offsets.append((left + side / 2, top + side / 2, dx, dy))
    return Check(agree, speaking, max(blocks, 1), np.array(offsets, float).reshape(-1, 4))


def _peak(likeness: Picture) -> tuple[float, float, float]:
    """Where a correlation is highest, to a part of a pixel (a parabola through its neighbours), and how high."""
    _, peak, _, (x, y) = cv2.minMaxLoc(likeness)
    place = []
    for at, line in ((x, likeness[y]), (y, likeness[:, x])):
        if not 0 < at < len(line) - 1:
            place.append(float(at))
            continue
        before, top, after = (float(v) for v in line[at - 1 : at + 2])
        bend = before - 2 * top + after
        place.append(at + (0.5 * (before - after) / bend if bend < 0 else 0.0))
    return place[0], place[1], float(peak)
