"""Coral segmentation: one outline per colony with its taxon and a score.

Three kinds of models, told by the task on their card: ``coral-segmentation`` (taxon and core maps, as the shipped
network; ``cores``), ``coral-instances`` (YOLO-seg; ``yolo``) and ``coral-semantic`` (a class per pixel; ``semantic``).
All see a picture the same way: ``tiles`` cuts it, ``merging`` joins what the seams have cut, ``segmenter`` turns masks
into outlines. A segmenter is a task of the batch runner: ``prepare``, the engine's ``predict``, ``finish``.
"""

from __future__ import annotations

from inference.segmentation.cores import CoreSegmenter
from inference.segmentation.pieces import Instance, Piece
from inference.segmentation.segmenter import Options, Segmenter, segment
from inference.segmentation.semantic import SemanticSegmenter
from inference.segmentation.tiles import Canvas, Tile
from inference.segmentation.yolo import YoloSegmenter

__all__ = [
    "Canvas",
    "CoreSegmenter",
    "Instance",
    "Options",
    "Piece",
    "Segmenter",
    "SemanticSegmenter",
    "Tile",
    "YoloSegmenter",
    "segment",
]
