"""Laying two pictures of the same ground over each other, from the ground itself.

A frame that is put down again lies a little off, so the frame and its strings say nothing of where a colony was. What
stays is rock, rubble and old colonies: SIFT features of both pictures vote for a similarity, which is refined to a
homography; where they find too little, phase correlation and ECC try. Whatever was found is then checked by another
measure than the one it came from: blocks of ground must lie on their counterparts. The share of blocks that do is the
confidence. Invented pixels (removed strings) lie at the same place in every year and are kept out of all of it.

Coordinates are centimetres from the picture's top left pixel centre; matrices lead from the earlier to the later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from labels.transforms import apply_homography

WORK_PX = 800
"""Long side of the pictures that are compared: 1.25 mm of a 1 m quadrat, finer than the grain of most water."""

GRAIN_PX, FORM_PX = 1.5, 24.0
"""Forms between these sizes are compared: grain changes with every photo, light and water change over large areas."""

FEATURES = 3000
RATIO = 0.85
"""Best to second-best descriptor distance (Lowe 2004 uses 0.8); looser, since years apart features change."""

SIMILARITY_PX, HOMOGRAPHY_PX = 8.0, 3.0
"""How far a feature may lie from its place: while a similarity stands for a slight tilt, and after that."""

LEAST_FEATURES = 12

LARGEST_SHIFT, LARGEST_SCALE = 0.2, 1.2
"""A fixed quadrat: its corners move by less than this share of its side, its size changes by less than this factor."""

BLOCKS, REACH_PX, AGREES_PX = 7, 12, 2.5
"""Blocks along the long side, how far around each is searched, and how near it must be found to agree."""

SPEAKS = 0.35
"""Least correlation of a block with its counterpart; blocks of bare sand say nothing."""

SPEAKING_SHARE = 1 / 3
"""This share of the blocks must speak for full confidence."""

CONFIDENT = 0.4
"""Least confidence of a registration that is used. A block agrees by chance in 3 of 100 cases."""

SURE = 0.75
"""With this confidence nothing further is tried."""

Picture = NDArray[np.float32]
Matrix = NDArray[np.float64]


class Method(StrEnum):
    """What a registration came from."""

    FEATURES = "features"
    CORRELATION = "correlation"
    FRAME = "frame"
    """The pictures lie over each other as they are."""
    NONE = "none"


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


@dataclass(frozen=True, slots=True)
class Registration:
    """How the earlier picture lies on the later one.

    Attributes:
        matrix: 3x3, centimetres of the earlier to centimetres of the later picture; the identity when not registered.
        confidence: share of the ground that confirms it, 0..1.
        error_cm: typical distance between ground and its counterpart after registration.
        shift_cm: how far the frame's centre lies from where it was.
        reason: why it failed; ``None`` when it did not.
    """

    matrix: Matrix
    method: Method
    confidence: float
    error_cm: float
    shift_cm: float
    reason: str | None = None

    @property
    def found(self) -> bool:
        """Whether the pictures could be registered."""
        return self.reason is None


def register(earlier: View, later: View) -> Registration:
    """Lay the earlier picture on the later one; a failure is an answer too, with its reason."""
    per_cm = WORK_PX / max(*earlier.size_cm, *later.size_cm)
    a, b = _Work(earlier, per_cm), _Work(later, per_cm)
    best, best_check = np.eye(3), _Check(0, 0, 1, np.zeros((0, 4)))
    method = Method.NONE
    for name, candidate in _candidates(a, b):
        if not _near_identity(candidate, a.form.shape):
            continue
        matrix, check = _settled(a, b, candidate)
        if check.rank > best_check.rank:
            method, best, best_check = name, matrix, check
        if best_check.confidence >= SURE:
            break
    if best_check.confidence < CONFIDENT:
        said = f"{best_check.agree} of {best_check.blocks} blocks of ground were found again"
        why = f"{said}: too few to tell how the frame lies" if best_check.agree else "no ground was found again"
        return Registration(np.eye(3), Method.NONE, best_check.confidence, float("nan"), float("nan"), why)
    centimetres = b.to_cm @ best @ np.linalg.inv(a.to_cm)
    centre = np.array([earlier.size_cm]) / 2
    shift = float(np.hypot(*(apply_homography(centimetres, centre) - centre)[0]))
    error = best_check.error_px / per_cm
    return Registration(centimetres / centimetres[2, 2], method, best_check.confidence, error, shift)


class _Work:
    """A picture made small, grey and even, in which only forms are left."""

    def __init__(self, view: View, per_cm: float) -> None:
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
        return cv2.GaussianBlur(picture * valid, (0, 0), sigma) / np.maximum(weight, 1e-3)

    smooth = blur(grey, GRAIN_PX)
    detail = smooth - blur(smooth, FORM_PX)
    spread = np.sqrt(blur(detail**2, 2 * FORM_PX))
    return np.clip(detail / (spread + 1.0), -4, 4) * valid


def _candidates(a: _Work, b: _Work) -> Iterator[tuple[Method, Matrix]]:
    """Matrices from pixels of ``a`` to pixels of ``b``, the most promising first."""
    by_features = _by_features(a, b)
    if by_features is not None:
        yield Method.FEATURES, by_features
    yield Method.CORRELATION, _by_correlation(a, b)
    yield Method.FRAME, np.eye(3)


def _by_features(a: _Work, b: _Work) -> Matrix | None:
    """From SIFT features that are each other's best counterpart."""
    finder = cv2.SIFT_create(nfeatures=FEATURES, contrastThreshold=0.02)
    found = []
    for work in (a, b):
        # Descriptors look around a feature: none that begins within or beside invented pixels.
        mask = cv2.erode(work.valid.astype(np.uint8), np.ones((3, 3), np.uint8)) * 255
        found.append(finder.detectAndCompute(work.grey, mask))
    (keys_a, words_a), (keys_b, words_b) = found
    if words_a is None or words_b is None or min(len(keys_a), len(keys_b)) < LEAST_FEATURES:
        return None
    back = {m.queryIdx: m.trainIdx for m in _distinct(words_b, words_a)}
    pairs = [(m.queryIdx, m.trainIdx) for m in _distinct(words_a, words_b) if back.get(m.trainIdx) == m.queryIdx]
    if len(pairs) < LEAST_FEATURES:
        return None
    start = np.array([keys_a[i].pt for i, _ in pairs])
    end = np.array([keys_b[j].pt for _, j in pairs])
    near = np.hypot(*(end - start).T) < LARGEST_SHIFT * max(a.form.shape)
    if near.sum() < LEAST_FEATURES:
        return None
    start, end = start[near], end[near]
    partial, inliers = cv2.estimateAffinePartial2D(
        start, end, method=cv2.RANSAC, ransacReprojThreshold=SIMILARITY_PX, maxIters=5000, confidence=0.999
    )
    if partial is None or inliers.sum() < LEAST_FEATURES / 2:
        return None
    kept = inliers.ravel().astype(bool)
    similarity = np.vstack([partial, [0, 0, 1]])
    if kept.sum() < 2 * LEAST_FEATURES:
        return similarity
    full, _ = cv2.findHomography(start[kept], end[kept], cv2.RANSAC, HOMOGRAPHY_PX)
    return full if full is not None and _near_identity(full, a.form.shape) else similarity


def _distinct(words: NDArray[np.float32], others: NDArray[np.float32]) -> list[cv2.DMatch]:
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words, others, k=2)
    return [p[0] for p in pairs if len(p) == 2 and p[0].distance < RATIO * p[1].distance]


def _by_correlation(a: _Work, b: _Work) -> Matrix:
    """From phase correlation (a shift), then ECC (an affine map) where that converges."""
    height, width = (min(x, y) for x, y in zip(a.form.shape, b.form.shape, strict=True))
    one, two = a.form[:height, :width], b.form[:height, :width]
    (dx, dy), _ = cv2.phaseCorrelate(one, two, cv2.createHanningWindow((width, height), cv2.CV_32F))
    shifted = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]])
    try:
        # ECC wants the map from the template (later) to the input (earlier).
        start = np.linalg.inv(shifted)[:2].astype(np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
        valid = (a.valid * 255).astype(np.uint8)
        _, back = cv2.findTransformECC(b.form, a.form, start, cv2.MOTION_AFFINE, stop, valid, 5)
        return np.linalg.inv(np.vstack([back, [0, 0, 1]]).astype(float))
    except (cv2.error, np.linalg.LinAlgError):  # it did not converge: the shift stands for itself
        return shifted


def _near_identity(matrix: Matrix, shape: tuple[int, ...]) -> bool:
    """Whether a fixed quadrat can have moved like this."""
    height, width = shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        return False
    moved = apply_homography(matrix, corners)
    if not np.isfinite(moved).all() or np.abs(moved - corners).max() > LARGEST_SHIFT * max(width, height) * 1.5:
        return False
    scale = np.sqrt(abs(shapely.Polygon(moved).area / (width * height)))
    centre = np.hypot(*(moved.mean(axis=0) - corners.mean(axis=0)))
    return 1 / LARGEST_SCALE < scale < LARGEST_SCALE and centre < LARGEST_SHIFT * max(width, height)


@dataclass(frozen=True, slots=True)
class _Check:
    """What blocks of ground say; ``offsets`` are rows of ``x, y, dx, dy`` in pixels of the later picture."""

    agree: int
    speaking: int
    blocks: int
    offsets: NDArray[np.float64]

    @property
    def confidence(self) -> float:
        return self.agree / max(self.speaking, SPEAKING_SHARE * self.blocks, 1.0)

    @property
    def error_px(self) -> float:
        return float(np.median(np.hypot(*self.offsets[:, 2:].T))) if len(self.offsets) else float("inf")

    @property
    def rank(self) -> tuple[float, float]:
        return round(self.confidence, 2), -self.error_px


def _settled(a: _Work, b: _Work, matrix: Matrix) -> tuple[Matrix, _Check]:
    """A candidate after the blocks that agree have pulled it into place, as far as that helps."""
    check = _check(a, b, matrix)
    for _ in range(2):
        if len(check.offsets) < LEAST_FEATURES:
            break
        places, pulls = check.offsets[:, :2].copy(), check.offsets[:, 2:]
        step, _ = cv2.estimateAffine2D(places, places + pulls, method=cv2.RANSAC, ransacReprojThreshold=1.0)
        if step is None:
            break
        moved = np.vstack([step, [0, 0, 1]]) @ matrix
        again = _check(a, b, moved)
        if again.rank <= check.rank:
            break
        matrix, check = moved, again
    return matrix, check


def _check(a: _Work, b: _Work, matrix: Matrix) -> _Check:
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
            if valid[here].mean() < 0.5:
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
    return _Check(agree, speaking, max(blocks, 1), np.array(offsets, float).reshape(-1, 4))


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
