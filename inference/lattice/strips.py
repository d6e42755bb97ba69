"""Strips: the picture straightened along the place where each string is expected."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.removal import end_pieces, string_path
from labels.lattice import LatticeTopology

# Stations stand this share of the side apart along a string (about 4 px of 1920).
STATION_SHARE = 1 / 480


@dataclass(frozen=True, slots=True)
class Strip:
    """A string's surroundings, straightened.

    Attributes:
        string: index of the string in the topology.
        spots: ``(m, 2)`` rectified pixels, where the string is expected, evenly spaced.
        normals: ``(m, 2)`` unit vectors across the string.
        offsets: ``(k,)`` pixels across, 0 at the expected place.
        colours: ``(m, k, 3)`` float32 RGB.
        node_stations: for each node of the string its (fractional) station.
    """

    string: int
    spots: NDArray[np.float64]
    normals: NDArray[np.float64]
    offsets: NDArray[np.float64]
    colours: NDArray[np.float32]
    node_stations: NDArray[np.float64]

    @property
    def spacing(self) -> float:
        """Pixels between stations."""
        return float(np.hypot(*(self.spots[1] - self.spots[0])))


def cut_strips(
    picture: NDArray[np.uint8], topology: LatticeTopology, expected: NDArray[np.float64], half_width: float
) -> list[Strip]:
    """One strip a string, ``half_width`` pixels to each side of the polyline through the ``expected`` nodes."""
    side = picture.shape[0]
    strips = []
    for index, string in enumerate(topology.strings):
        path, _ = string_path(expected, topology, side, index)
        steps = np.hypot(*np.diff(path, axis=0).T)
        distance = np.concatenate([[0.0], np.cumsum(steps)])
        count = max(24, round(distance[-1] / (STATION_SHARE * side)))
        stations = np.linspace(0, distance[-1], count)
        spots = np.column_stack([np.interp(stations, distance, path[:, k]) for k in (0, 1)])
        tangent = np.gradient(spots, axis=0)
        tangent = _smoothed(tangent)
        tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
        normals = np.column_stack([-tangent[:, 1], tangent[:, 0]])
        offsets = np.arange(-np.floor(half_width), np.floor(half_width) + 1)
        colours = _sample(picture, spots, normals, tangent * (distance[-1] / (count - 1)), offsets)
        lead = int(end_pieces(topology, index, side)[0])
        nodes = distance[lead : lead + len(string)] / (distance[-1] / (count - 1))
        strips.append(Strip(index, spots, normals, offsets, colours, nodes))
    return strips


def _smoothed(values: NDArray[np.float64], width: int = 15) -> NDArray[np.float64]:
    padded = np.pad(values, ((width // 2, width // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.vstack([np.zeros((1, values.shape[1])), padded]), axis=0)
    return (sums[width:] - sums[:-width]) / width


def _sample(
    picture: NDArray[np.uint8],
    spots: NDArray[np.float64],
    normals: NDArray[np.float64],
    ahead: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Colours of the strip; two looks a station, so that nothing between stations is missed."""
    total = np.zeros((len(spots), len(offsets), 3), np.float32)
    for share in (-0.25, 0.25):
        grid = ((spots + ahead * share)[:, None, :] + normals[:, None, :] * offsets[None, :, None]).astype(np.float32)
        total += cv2.remap(picture, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(total / 2, np.float32)
