"""Joining what seams have cut: the same colony seen in neighbouring tiles becomes one.

Neighbouring tiles overlap. Two pieces are one colony when their masks agree where both tiles look; a piece that a seam
has cut also when it lies in the other one, because models see little of what is cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from inference.segmentation.pieces import Piece
from inference.segmentation.tiles import Canvas, Tile

AGREE = 0.5
"""Least IoU, where both tiles look, of two pieces of one colony."""
COVERED = 0.6
"""Least share of a cut piece, where both tiles look, that lies in the other one."""


def merged(pieces: Sequence[Piece], canvas: Canvas) -> list[Piece]:
    """Pieces of all tiles, in canvas pixels, as whole colonies."""
    group = list(range(len(pieces)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    by_tile: dict[int, list[int]] = defaultdict(list)
    for i, piece in enumerate(pieces):
        by_tile[piece.tile].append(i)
    for a, b, box in _overlaps(canvas, sorted(by_tile)):
        near = [[i for i in by_tile[tile] if _meets(pieces[i], box)] for tile in (a, b)]
        for i in near[0]:
            for j in near[1]:
                if root(i) != root(j) and _same(pieces[i], pieces[j], box, canvas):
                    group[root(j)] = root(i)
    colonies: dict[int, list[Piece]] = defaultdict(list)
    for i, piece in enumerate(pieces):
        colonies[root(i)].append(piece)
    return [_joined(parts) for parts in colonies.values()]


Box = tuple[int, int, int, int]


def _overlaps(canvas: Canvas, tiles: Sequence[int]) -> list[tuple[int, int, Box]]:
    found = []
    for n, a in enumerate(tiles):
        for b in tiles[n + 1 :]:
            one, other = canvas.tiles[a], canvas.tiles[b]
            box = (
                max(one.left, other.left),
                max(one.top, other.top),
                min(one.right, other.right),
                min(one.bottom, other.bottom),
            )
            if box[0] < box[2] and box[1] < box[3]:
                found.append((a, b, box))
    return found


def _meets(piece: Piece, box: Box) -> bool:
    return piece.left < box[2] and piece.right > box[0] and piece.top < box[3] and piece.bottom > box[1]


def _same(a: Piece, b: Piece, box: Box, canvas: Canvas) -> bool:
    left, top = max(box[0], min(a.left, b.left)), max(box[1], min(a.top, b.top))
    right, bottom = min(box[2], max(a.right, b.right)), min(box[3], max(a.bottom, b.bottom))
    first, second = a.within(left, top, right, bottom), b.within(left, top, right, bottom)
    common = int(np.count_nonzero(first & second))
    if not common:
        return False
    sizes = int(np.count_nonzero(first)), int(np.count_nonzero(second))
    if common >= AGREE * (sum(sizes) - common):
        return True
    cut = _cut(a, canvas.tiles[a.tile], canvas), _cut(b, canvas.tiles[b.tile], canvas)
    return any(was and common >= COVERED * size for was, size in zip(cut, sizes, strict=True))


def _cut(piece: Piece, tile: Tile, canvas: Canvas) -> bool:
    """Whether a piece reaches an edge of its tile that is not the picture's."""
    return (
        (piece.left <= tile.left and tile.left > 0)
        or (piece.top <= tile.top and tile.top > 0)
        or (piece.right >= tile.right and tile.right < canvas.width)
        or (piece.bottom >= tile.bottom and tile.bottom < canvas.height)
    )


def _joined(parts: Sequence[Piece]) -> Piece:
    """One piece of several: all their pixels; taxon and score by the pixels that vote for them."""
    if len(parts) == 1:
        return parts[0]
    left, top = min(p.left for p in parts), min(p.top for p in parts)
    right, bottom = max(p.right for p in parts), max(p.bottom for p in parts)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    votes: dict[str, float] = defaultdict(float)
    weight = 0.0
    for part in parts:
        mask[part.top - top : part.bottom - top, part.left - left : part.right - left] |= part.mask
        votes[part.label] += part.score * part.area
        weight += part.area
    label = max(sorted(votes), key=lambda taxon: votes[taxon])
    return Piece(mask, left, top, label, votes[label] / weight, parts[0].tile)
