"""The middle of the string itself: what the shadow on one side pulls away is put back.

A path along a ridge runs where the contrast with both flanks is best, and that is off the middle where one flank is in
the string's own shadow. The shadow falls the same way along all strings of one direction, so their mean profile shows
the string's two edges well, and the middle between them is where the path should have run.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference.lattice.strips import Strip
from inference.lattice.tracks import StringColour, Track

_STEP = 0.5
_FAMILY_DEGREES = 15
_LEAST_CONTRAST = 3.0
_MAX_SHIFT_WIDTHS = 0.75


def centred(strips: list[Strip], tracks: list[Track], colour: StringColour, string_width: float) -> list[Track]:
    """The tracks, each moved onto the middle of its string; unchanged where no string stands out."""
    if colour.strength == 0:
        return tracks
    reach = max(4.0, 2.5 * string_width)
    offsets = np.arange(-reach, reach + _STEP / 2, _STEP)
    family = [_family(strip) for strip in strips]
    profiles = [
        _profile(strip, track, colour, offsets * sign)
        for strip, track, (_, sign) in zip(strips, tracks, family, strict=True)
    ]
    shift: dict[int, float] = {}
    for name in {name for name, _ in family}:
        own = [p for p, (other, _) in zip(profiles, family, strict=True) if other == name]
        shift[name] = middle(np.median(own, axis=0), offsets, _MAX_SHIFT_WIDTHS * string_width)
    return [
        replace(track, offset=track.offset + sign * shift[name])
        for track, (name, sign) in zip(tracks, family, strict=True)
    ]


def _family(strip: Strip) -> tuple[int, float]:
    """Direction of the string's normal in steps of 15 degrees, and the sign that makes normals comparable."""
    x, y = strip.normals.mean(axis=0)
    sign = 1.0 if (x > 0.2 or (abs(x) <= 0.2 and y > 0)) else -1.0
    return round(float(np.degrees(np.arctan2(sign * y, sign * x))) / _FAMILY_DEGREES), sign


def _profile(strip: Strip, track: Track, colour: StringColour, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median grey level across the string in its own colour's direction, at ``offsets`` from the track."""
    signal = strip.colours @ colour.direction.astype(np.float32)
    rows = np.flatnonzero(track.evidence >= np.median(track.evidence))
    place = track.offset[rows, None] + offsets[None, :] - strip.offsets[0]
    place = np.clip(place, 0, signal.shape[1] - 1.001)
    left = place.astype(int)
    share = place - left
    sampled = signal[rows[:, None], left] * (1 - share) + signal[rows[:, None], left + 1] * share
    return np.asarray(np.median(sampled, axis=0), np.float64)


def middle(profile: NDArray[np.float64], offsets: NDArray[np.float64], most: float) -> float:
    """Where the middle of the ridge near offset 0 lies: between its two edges, each at half its own side's height.

    Returns 0 where there is no ridge, or where its middle would lie farther than ``most`` away.
    """
    inner = np.abs(offsets) <= most
    top = int(np.argmax(np.where(inner, profile, -np.inf)))
    edges = []
    for side in (-1, 1):
        flank = profile[top::side][: len(offsets) // 2]
        foot = float(flank.min())
        if profile[top] - foot < _LEAST_CONTRAST:
            return 0.0
        half = (profile[top] + foot) / 2
        below = int(np.argmax(flank < half))
        if below == 0:
            return 0.0
        rise = flank[below - 1] - flank[below]
        share = (flank[below - 1] - half) / max(float(rise), 1e-9)
        edges.append(offsets[top] + side * _STEP * (below - 1 + share))
    shift = float(np.mean(edges))
    return shift if abs(shift) <= most else 0.0
