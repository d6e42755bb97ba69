"""What all segmenters have in common: tiles in, outlines out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines import Engine
from inference.planes import planes
from inference.polygons import Outline, labels_to_polygons, masks_to_polygons
from inference.registry import Model, ModelError
from inference.segmentation.merging import merged
from inference.segmentation.pieces import Instance, Piece
from inference.segmentation.tiles import Canvas

TOLERANCE_PX = 0.8
"""Of outlines, in pixels of the canvas."""
_CONTRAST = 8
"""Grey levels; a picture with less shows nothing, and evening out its contrast would make something of its noise."""
_STRIP = 256
"""Rows."""
STREAM_VIEWS = 4
"""Views of one engine call when a picture is seen alone."""
MAP_PIXELS: Final = 36_000_000
"""Canvases up to this size get common borders; on larger ones each colony is traced by itself, to bound memory."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is asked; the survey file states them.

    Attributes:
        min_score: proposals that are less sure are left out.
        tile_px: side of a tile in pixels of the picture; ``None`` = the whole picture at once.
        tile_overlap: share of a tile's side that neighbours have in common, at least.
        iou: of two proposals of one tile that overlap more than this, the surer one stays.
        flip: look at the mirrored picture as well.
        min_area_share: smallest colony, as a share of the picture; 1.5e-4 is 1.4 cm across on a 1 m frame.
    """

    min_score: float = 0.25
    tile_px: int | None = None
    tile_overlap: float = 0.2
    iou: float = 0.6
    flip: bool = False
    min_area_share: float = 1.5e-4


class Segmenter(ABC):
    """A coral model as a task of the batch runner. Called by several threads; keeps nothing of a picture."""

    def __init__(
        self,
        engine: Engine,
        labels: Sequence[str],
        input_px: int,
        reference: str,
        options: Options | None = None,
        classes: Mapping[str, str | None] | None = None,
    ) -> None:
        """Ask a model.

        Args:
            engine: runs it.
            labels: its classes, in the order of its outputs.
            input_px: side of its input.
            reference: ``name@version#hash``, goes on every label.
            options: how to ask.
            classes: label -> taxon, ``None`` to leave it out; labels are taxa when not given.

        Raises:
            ModelError: ``classes`` says nothing of a label.
        """
        self.engine, self.input_px, self.reference = engine, input_px, reference
        self.options = options or Options()
        self.labels = tuple(labels)
        mapping = {label: label for label in self.labels} if classes is None else classes
        unknown = [label for label in self.labels if label not in mapping]
        if unknown:
            raise ModelError(
                f"model {reference} proposes {', '.join(unknown)}, which lead to no taxon of the survey: choose "
                "another model or taxonomy in the survey file, or add them to the crosswalk"
            )
        self.taxon_of: tuple[str | None, ...] = tuple(mapping[label] for label in self.labels)
        self.taxa = tuple(dict.fromkeys(taxon for taxon in self.taxon_of if taxon is not None))

    @classmethod
    def of(
        cls, model: Model, options: Options | None = None, classes: Mapping[str, str | None] | None = None
    ) -> Segmenter:
        """The segmenter for a registered model, by the task on its card.

        Raises:
            ModelError: the model is not for corals, or its labels lead to no taxon.
        """
        from inference.segmentation.cores import CoreSegmenter
        from inference.segmentation.semantic import SemanticSegmenter
        from inference.segmentation.yolo import YoloSegmenter

        kinds: dict[str, type[Segmenter]] = {
            "coral-segmentation": CoreSegmenter,
            "coral-instances": YoloSegmenter,
            "coral-semantic": SemanticSegmenter,
        }
        card = model.card
        if card.task not in kinds:
            raise ModelError(f"model {card.reference} is for {card.task}, not for corals: {', '.join(kinds)} are")
        return kinds[card.task](model.engine, card.labels, card.input_px, model.reference, options, classes)

    @abstractmethod
    def decode(self, outputs: tuple[NDArray[Any], ...], width: int, height: int, least: float) -> list[Piece]:
        """Colonies of one tile, in its pixels.

        Args:
            outputs: the engine's, first axis 1, or 2 when the second one is of the mirrored tile.
            width, height: the part of the tile that shows the picture.
            least: fewest pixels of a colony that no seam cuts.
        """

    def canvas(self, image: NDArray[np.uint8]) -> Canvas:
        """How this picture is cut."""
        height, width = image.shape[:2]
        return Canvas.of(width, height, self.input_px, self.options.tile_px, self.options.tile_overlap)

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """All views of a picture, ``(tiles, 3, side, side)`` float32 RGB of 0..1; twice as many when mirrored too."""
        canvas = self.canvas(image)
        return self._views(image, canvas, range(len(canvas.tiles)))

    def finish(self, image: NDArray[np.uint8], outputs: tuple[NDArray[Any], ...]) -> list[Instance]:
        """Outlines of all colonies, surest first, from the engine's outputs for :meth:`prepare`'s views."""
        canvas = self.canvas(image)
        return self._outlined(image, canvas, self._pieces(canvas, range(len(canvas.tiles)), outputs))

    def stream(self, image: NDArray[np.uint8]) -> list[Instance]:
        """As :meth:`prepare`, ``predict`` and :meth:`finish`, a few tiles at a time: memory does not grow with them."""
        canvas = self.canvas(image)
        pieces: list[Piece] = []
        for start in range(0, len(canvas.tiles), STREAM_VIEWS):
            numbers = range(start, min(start + STREAM_VIEWS, len(canvas.tiles)))
            pieces += self._pieces(canvas, numbers, self.engine.predict(self._views(image, canvas, numbers)))
        return self._outlined(image, canvas, pieces)

    def _views(self, image: NDArray[np.uint8], canvas: Canvas, numbers: range) -> NDArray[np.float32]:
        looks = 2 if self.options.flip else 1
        views = np.empty((looks * len(numbers), 3, canvas.side, canvas.side), np.float32)
        for nth, number in enumerate(numbers):
            view = planes(canvas.view(image, number), views[nth * looks])
            if self.options.flip:
                views[nth * looks + 1] = view[:, :, ::-1]
        return views

    def _pieces(self, canvas: Canvas, numbers: range, outputs: tuple[NDArray[Any], ...]) -> list[Piece]:
        looks = 2 if self.options.flip else 1
        # A tile may show only a corner of a colony: small pieces are judged when they are whole.
        least = 1.0 if len(canvas.tiles) > 1 else self._least(canvas)
        pieces: list[Piece] = []
        for nth, number in enumerate(numbers):
            tile = canvas.tiles[number]
            own = tuple(output[nth * looks : (nth + 1) * looks] for output in outputs)
            for piece in self.decode(own, tile.width, tile.height, least):
                left, top = piece.left + tile.left, piece.top + tile.top
                pieces.append(replace(piece, left=left, top=top, tile=number))
        return pieces

    def _least(self, canvas: Canvas) -> float:
        return max(1.0, self.options.min_area_share * canvas.width * canvas.height)

    def _outlined(self, image: NDArray[np.uint8], canvas: Canvas, pieces: list[Piece]) -> list[Instance]:
        if _is_blank(image):
            return []
        whole = merged(pieces, canvas) if len(canvas.tiles) > 1 else pieces
        least = self._least(canvas)
        sure = [p for p in whole if p.score >= self.options.min_score and p.area >= least]
        sure.sort(key=lambda p: (-p.score, p.top, p.left))
        fx, fy = image.shape[1] / canvas.width, image.shape[0] / canvas.height
        found = []
        for piece, outlines in zip(sure, _outlines(sure, canvas, least), strict=True):
            for outline in outlines[:1]:  # one colony is one outline: its largest part
                placed = outline.scaled(fx, fy).within(image.shape[1], image.shape[0])
                found.append(Instance(piece.label, placed.ring, placed.holes, float(min(piece.score, 1.0))))
        return found


def _is_blank(image: NDArray[np.uint8]) -> bool:
    """Whether nothing was photographed."""
    # Plane by plane (NumPy's minimum over RGB pixels takes longer than all outlines), and a strip at a time: most
    # pictures show something in the first.
    ends = []
    for top in range(0, len(image), _STRIP):
        ends.append([cv2.minMaxLoc(plane)[:2] for plane in cv2.split(image[top : top + _STRIP])])
        lowest, highest = np.min(ends, axis=0)[:, 0], np.max(ends, axis=0)[:, 1]
        if (highest - lowest).max() >= _CONTRAST:
            return False
    return True


def _outlines(pieces: Sequence[Piece], canvas: Canvas, least: float) -> list[list[Outline]]:
    """Outlines of each piece. Where pieces overlap, the first one (the surest) has the ground."""
    if canvas.width * canvas.height > MAP_PIXELS:
        places = [(piece.left, piece.top) for piece in pieces]
        masks = [piece.mask for piece in pieces]
        return masks_to_polygons(masks, places, tolerance_px=TOLERANCE_PX, min_area_px=least)
    ground = np.zeros((canvas.height, canvas.width), np.int32)
    for number in range(len(pieces), 0, -1):
        piece = pieces[number - 1]
        ground[piece.top : piece.bottom, piece.left : piece.right][piece.mask > 0] = number
    found = labels_to_polygons(ground, tolerance_px=TOLERANCE_PX, min_area_px=least)
    return [found.get(number, []) for number in range(1, len(pieces) + 1)]


def segment(image: NDArray[np.uint8], model: Segmenter) -> list[Instance]:
    """Outlines of all colonies in a clean picture, surest first.

    Args:
        image: uint8 RGB ``(H, W, 3)``, of any size.
        model: which model, and how to ask it.
    """
    return model.stream(image)
