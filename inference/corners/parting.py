"""Where the bar ends and the reef begins, told by how both look rather than by the contrast of the edge between them.

A dark bar lies in its own soft shadow: at its edge there is hardly a step, while a finger further in the shadow ends on
bright sand with a larger one. But the bar is even along its length, and no reef is, shaded or not. So the colours a
little outside and a little inside of the expected border are gathered, and every pixel near it votes for the one it
resembles: with the logarithm of how much more often its look occurs there. The border parts the votes best.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.corners.sides import STATIONS, Strip
from inference.planes import largest_channel

# A station that is off (growth, a tape, a sticker) says no more than this, in the votes' natural logarithms.
_CAP = 14.0
_VOTE = 2.0
_LEAST_SPREAD = 0.7
_MAD = 1.4826
# Stickers are told from growth by being as long as this many stations.
_ALONG = 9
_PRIOR = 2.0
# Shares of the side's length: how far from the border the bar and its shadow mix, and what bar and reef are told by.
# Bars of common frames are 0.03 to 0.065 wide.
_SHADE_SHARE, _BAR_SHARE, _REEF_SHARE = 0.0104, 0.0156, 0.0234
_FAR = np.concatenate([np.arange(0, 6, 0.5), [6, 7, 8, 10, 12, 16, np.inf]])
_SIGNED = np.concatenate([[-np.inf], np.arange(-6, 6.1, 0.5), [np.inf]])


@dataclass(frozen=True, slots=True)
class Samples:
    """Where beside the expected border bar and reef are looked at: from how far off, and how widely, pixels."""

    bar: tuple[float, float]
    reef: tuple[float, float]

    @classmethod
    def beside(cls, gap: float, band: float, length: float) -> Samples:
        """For a border that is less than about ``gap`` from where it is expected, along a side of that ``length``.

        A border is expected too far inside more often than too far outside, where the bar's shadow ends. So the bar is
        looked at beyond the width of a shadow.
        """
        return cls((max(gap, _SHADE_SHARE * length), _BAR_SHARE * length), (gap, max(band, _REEF_SHARE * length)))

    @property
    def reach(self) -> float:
        """How far off the farthest lies, pixels."""
        return max(sum(self.bar), sum(self.reef))


def parting(strip: Strip, expected: NDArray[np.float64], samples: Samples) -> NDArray[np.float64]:
    """How well each column of a strip parts its station into bar and reef: ``(stations, m)``, -1 worst, 0 best.

    Args:
        strip: the side.
        expected: ``(stations,)`` offsets of the border as far as it is known.
        samples: where bar and reef are looked at.
    """
    bar, reef = _beside(strip, expected, samples.bar, -1), _beside(strip, expected, samples.reef, 1)
    own = _along_median(np.median(strip.colours[bar], axis=1))
    apart = strip.colours - own[:, None, :]
    smooth = np.asarray(cv2.boxFilter(apart, -1, (3, 3)), np.float32)
    votes = np.zeros(strip.colours.shape[:2])
    for look in (apart, smooth):
        spread = np.maximum(_LEAST_SPREAD, _MAD * np.median(np.abs(look[bar]), axis=(0, 1)))
        far = largest_channel(np.abs(look / spread))
        votes += _votes(far, far[bar], far[reef], _FAR) / 2
    toward = smooth @ _direction(smooth[bar].reshape(-1, 3), smooth[reef].reshape(-1, 3))
    toward /= max(_LEAST_SPREAD, _MAD * float(np.median(np.abs(toward[bar]))))
    votes += _votes(toward, toward[bar], toward[reef], _SIGNED) / 2
    total = np.cumsum(votes, axis=1)
    scores = np.maximum(total - total.max(axis=1, keepdims=True), -_CAP) / _CAP
    # A station where nothing tells bar from reef supports no border anywhere.
    scores[np.ptp(total, axis=1) < _VOTE] = -1
    return np.asarray(scores, np.float64)


def _beside(
    strip: Strip, expected: NDArray[np.float64], where: tuple[float, float], way: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the samples on one side of the border: inward for ``way`` 1, outward for -1."""
    skipped, width = (round(distance / strip.fine) for distance in where)
    off = max(1, skipped) + np.arange(max(3, width))
    columns = strip.columns(expected)[:, None] + way * off
    return np.arange(STATIONS)[:, None], np.clip(columns, 0, len(strip.offsets) - 1)


def _along_median(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Running median along the side of ``(stations, 3)``."""
    padded = np.pad(colours, ((_ALONG // 2, _ALONG // 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _ALONG, axis=0)
    return np.asarray(np.median(windows, axis=2), np.float32)


def _direction(bar: NDArray[np.float32], reef: NDArray[np.float32]) -> NDArray[np.float32]:
    """The direction of colour that tells the two best apart (Fisher's linear discriminant), of length 1."""
    spread = np.cov(bar.T) + np.cov(reef.T) + np.eye(3)
    way = np.linalg.solve(spread, reef.mean(axis=0, dtype=np.float64) - bar.mean(axis=0, dtype=np.float64))
    return np.asarray(way / max(float(np.linalg.norm(way)), 1e-9), np.float32)


def _votes(
    values: NDArray[np.float32], bar: NDArray[np.float32], reef: NDArray[np.float32], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each value the logarithm of how much more often it occurs on the bar than on the reef, bounded."""
    often = [np.histogram(part, edges)[0] + _PRIOR for part in (bar, reef)]
    chance = [count / count.sum() for count in often]
    ratio = np.clip(np.log(chance[0] / chance[1]), -_VOTE, _VOTE)
    return np.asarray(ratio[np.searchsorted(edges[1:-1], values, side="right")], np.float64)
