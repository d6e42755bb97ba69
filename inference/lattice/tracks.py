"""Following strings: a ridge across the strip, and the smoothest path along it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.lattice.strips import Strip

# Contrasts in grey levels of 255. A ridge stronger than the cap earns no more: one bright shell is no string.
_CAP = 30.0
_SMOOTH_STATIONS = 7
_TURN_PRICE = np.float32(0.35)
_LEAST_CONTRAST = 2.0
_LEAST_CAP = 6.0
# Evidence 0.5 stands for a piece of string this many standard deviations above texture.
_PIECE_STATIONS = 13
_CLEAR_SIGMAS = 3.0
_FLOOR_CONTRAST = 0.7
_DARK_WEIGHT = np.float32(0.7)


@dataclass(frozen=True, slots=True)
class StringColour:
    """What the strings look like.

    Attributes:
        direction: ``(3,)`` unit vector, the strings' usual contrast with the reef, RGB.
        strength: size of that contrast, grey levels; 0 when nothing was learned.
        colour: ``(3,)`` RGB of the strings themselves.
    """

    direction: NDArray[np.float64]
    strength: float
    colour: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Track:
    """A followed string: its offset at each station (pixels across the strip) and the evidence there, 0..1."""

    offset: NDArray[np.float64]
    evidence: NDArray[np.float64]


def follow(
    strips: list[Strip],
    string_width: float,
    colour: StringColour | None,
    priors: list[NDArray[np.float32]] | None = None,
) -> list[Track]:
    """Each strip's string as a path across its stations.

    ``priors``: for each strip a weight ``(m, k)`` of 0..1 for every sample, where it is known otherwise how likely a
    string lies there.
    """
    contrasts = [_contrast(strip, string_width, colour) for strip in strips]
    responses = [_response(contrast, colour) for contrast in contrasts]
    if priors is not None:
        responses = [response * prior for response, prior in zip(responses, priors, strict=True)]
    # Side by side in one array, so that one sweep follows all strings; what is padded earns nothing.
    rows = max(r.shape[0] for r in responses)
    stack = np.zeros((len(responses), rows, responses[0].shape[1]), np.float32)
    for i, response in enumerate(responses):
        stack[i, : len(response)] = response
    paths = _best_paths(stack)
    tracks = []
    for strip, contrast, response, path in zip(strips, contrasts, responses, paths, strict=True):
        column = path[: len(response)]
        evidence = _evidence(contrast, column, string_width)
        tracks.append(Track(_subpixel(response, column) + strip.offsets[0], evidence))
    return tracks


def learn_colour(strips: list[Strip], tracks: list[Track], string_width: float) -> StringColour:
    """The strings' contrast and colour, as medians over the best supported stations of all strings."""
    contrasts, colours = [], []
    for strip, track in zip(strips, tracks, strict=True):
        signed, around = _ridge(strip.colours, string_width)
        column = np.clip(np.round(track.offset - strip.offsets[0]).astype(int), 0, len(strip.offsets) - 1)
        rows = np.flatnonzero(track.evidence >= np.quantile(track.evidence, 0.4))
        contrasts.append(signed[rows, column[rows]])
        colours.append(contrasts[-1] + around[rows, column[rows]])
    contrast = np.median(np.concatenate(contrasts), axis=0).astype(np.float64)
    colour = np.median(np.concatenate(colours), axis=0).astype(np.float64)
    strength = float(np.linalg.norm(contrast))
    if strength < _LEAST_CONTRAST:
        return StringColour(np.full(3, 1 / np.sqrt(3)), 0.0, colour)
    return StringColour(contrast / strength, strength, colour)


def _contrast(strip: Strip, string_width: float, colour: StringColour | None) -> NDArray[np.float32]:
    """The ridge at each sample of the strip, ``(m, k)`` grey levels: towards the strings' colour, or in any direction.

    A yellow string is lighter than dark reef and darker than sand: beside the usual contrast, the one from this very
    reef to the strings' colour counts too.
    """
    signed, around = _ridge(strip.colours, string_width)
    if colour is None or colour.strength == 0:
        # A pale string on sand is fainter than its own shadow, so dark ridges count less as long as nothing is known.
        return np.sqrt((signed**2).sum(axis=2)) * np.where(signed.sum(axis=2) < 0, _DARK_WEIGHT, np.float32(1))
    size2 = (signed**2).sum(axis=2)
    usual = _aligned(signed @ colour.direction.astype(np.float32), size2)
    towards = colour.colour.astype(np.float32) - around
    distance = np.sqrt((towards**2).sum(axis=2))
    here = _aligned((signed * towards).sum(axis=2) / np.maximum(distance, 1.0), size2)
    return np.maximum(usual, here)


def _aligned(along: NDArray[np.float32], size2: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part of a contrast in the wanted direction, less half of what points elsewhere; negative when opposed."""
    across = np.sqrt(np.maximum(size2 - along**2, 0))
    return np.where(along > 0, np.maximum(along - 0.5 * across, 0), along)


def _response(contrast: NDArray[np.float32], colour: StringColour | None) -> NDArray[np.float32]:
    """Contrast as what the path search collects, 0..1, evened out along the string."""
    known = colour is not None and colour.strength > 0
    cap = max(_LEAST_CAP, min(_CAP, colour.strength)) if colour is not None and known else _CAP
    response = np.clip(contrast / cap, 0.0, 1.0).astype(np.float32)
    return np.asarray(cv2.blur(response, (1, _SMOOTH_STATIONS), borderType=cv2.BORDER_REPLICATE), np.float32)


def _evidence(contrast: NDArray[np.float32], column: NDArray[np.int64], string_width: float) -> NDArray[np.float64]:
    """How clearly the followed path stands out from the rest of its strip, 0..1 at each station.

    The contrast is averaged along a short piece of string; a string lies several standard deviations above what reef
    texture gives at the other offsets of the strip. So a faint string on sand counts, and a bright shell does not.
    """
    mean = cv2.blur(contrast, (1, _PIECE_STATIONS), borderType=cv2.BORDER_REPLICATE).astype(np.float64)
    here = mean[np.arange(len(column)), column]
    away = np.abs(np.arange(mean.shape[1])[None, :] - column[:, None]) > 1.5 * string_width + 1
    # What is contrary to the strings' colour (their shadow above all) is no rival, so only the rest is counted.
    rival = away & (mean >= 0)
    noise = np.sqrt((mean**2 * rival).sum(axis=1) / np.maximum(rival.sum(axis=1), 1))
    return np.clip(here / (noise + _FLOOR_CONTRAST) / (2 * _CLEAR_SIGMAS), 0.0, 1.0)


def _ridge(colours: NDArray[np.float32], width: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Contrast of the middle with both flanks, and the flanks' mean, each ``(m, k, 3)`` grey levels.

    The contrast is 0 in a channel where the flanks do not agree on its sign: an edge is no string.
    """
    w = max(1, round(width))
    flank = max(2, w)
    middle = cv2.blur(colours, (w, _SMOOTH_STATIONS), borderType=cv2.BORDER_REPLICATE)
    beside = cv2.blur(colours, (flank, _SMOOTH_STATIONS), borderType=cv2.BORDER_REPLICATE)
    gap = (w + flank) // 2 + 1
    left = np.pad(beside, ((0, 0), (gap, 0), (0, 0)), mode="edge")[:, : beside.shape[1]]
    right = np.pad(beside, ((0, 0), (0, gap), (0, 0)), mode="edge")[:, gap:]
    a, b = middle - left, middle - right
    signed = np.where(a * b > 0, np.sign(a) * np.minimum(np.abs(a), np.abs(b)), 0)
    return signed.astype(np.float32), ((left + right) / 2).astype(np.float32)


def _best_paths(response: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each ``(rows, columns)`` picture of a stack: the column at each row of the path with the highest sum.

    Dynamic programming; each sideways step of one column a row costs ``_TURN_PRICE``.
    """
    count, rows, columns = response.shape
    total = response[:, 0].copy()
    back = np.zeros((rows, count, columns), np.int8)
    wall = np.full((count, 1), -np.inf, np.float32)
    for row in range(1, rows):
        lower = np.concatenate([wall, total[:, :-1] - _TURN_PRICE], axis=1)
        upper = np.concatenate([total[:, 1:] - _TURN_PRICE, wall], axis=1)
        best = np.maximum(np.maximum(total, lower), upper)
        back[row] = np.where(best == total, 0, np.where(best == lower, -1, 1))
        total = best + response[:, row]
    path = np.empty((count, rows), np.int64)
    path[:, -1] = total.argmax(axis=1)
    each = np.arange(count)
    for row in range(rows - 1, 0, -1):
        path[:, row - 1] = path[:, row] + back[row, each, path[:, row]]
    return path


def _subpixel(response: NDArray[np.float32], path: NDArray[np.int64], reach: int = 3) -> NDArray[np.float64]:
    """The path's column as the centre of mass of the response around it."""
    rows = np.arange(len(path))
    window = np.clip(path[:, None] + np.arange(-reach, reach + 1), 0, response.shape[1] - 1)
    weight = response[rows[:, None], window].astype(np.float64)
    weight = np.maximum(weight - weight.min(axis=1, keepdims=True), 0)
    total = weight.sum(axis=1)
    centre = (weight * window).sum(axis=1) / np.maximum(total, 1e-9)
    return np.where(total > 0, centre, path)
