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

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from analytics.colonies.ground import WORK_PX, Check, Forms, Matrix, View, settled
from labels.transforms import apply_homography

FEATURES = 3000
RATIO = 0.85
"""Best to second-best descriptor distance (Lowe 2004 uses 0.8); looser, since years apart features change."""

SIMILARITY_PX, HOMOGRAPHY_PX = 8.0, 3.0
"""How far a feature may lie from its place: while a similarity stands for a slight tilt, and after that."""

LEAST_FEATURES = 12

LARGEST_SHIFT, LARGEST_SCALE = 0.2, 1.2
"""A fixed quadrat: its corners move by less than this share of its side, its size changes by less than this factor."""

CONFIDENT = 0.4
"""Least confidence of a registration that is used. A block agrees by chance in 3 of 100 cases."""

SURE = 0.75
"""With this confidence nothing further is tried."""


class Method(StrEnum):
    """What a registration came from."""

    FEATURES = "features"
    CORRELATION = "correlation"
    FRAME = "frame"
    """The pictures lie over each other as they are."""
    NONE = "none"


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
    a, b = Forms(earlier, per_cm), Forms(later, per_cm)
    best, best_check = np.eye(3), Check(0, 0, 1, np.zeros((0, 4)))
    method = Method.NONE
    for name, candidate in _candidates(a, b):
        if not _near_identity(candidate, a.form.shape):
            continue
        matrix, check = settled(a, b, candidate)
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


def _candidates(a: Forms, b: Forms) -> Iterator[tuple[Method, Matrix]]:
    """Matrices from pixels of ``a`` to pixels of ``b``, the most promising first."""
    by_features = _by_features(a, b)
    if by_features is not None:
        yield Method.FEATURES, by_features
    yield Method.CORRELATION, _by_correlation(a, b)
    yield Method.FRAME, np.eye(3)


def _by_features(a: Forms, b: Forms) -> Matrix | None:
    """From SIFT features that are each other's best counterpart."""
    finder = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=0.02)
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


def _by_correlation(a: Forms, b: Forms) -> Matrix:
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
