"""What each kind of function answers to a request, independent of how the request came."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np

from deploy.nuclio.request import BadRequest, format_of, keypoints_of, picture_of, threshold_of
from deploy.nuclio.response import items
from deploy.nuclio.settings import FunctionSettings
from inference.functions.detectors import Detector, FunctionSetupError, LatticeRemover
from inference.functions.sam import SamEncoder
from labels.formats.cvat import HALF_PIXEL

JSON = "application/json"
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; ``notes`` are one-line remarks about the picture."""

    body: str | bytes
    content_type: str = JSON
    notes: list[str] = field(default_factory=list)


class Service(Protocol):
    """A loaded function. ``reference``: which model answers."""

    reference: str

    def answer(self, body: Mapping[str, Any], accept: str) -> Answer:
        """The answer to a request's JSON body; ``accept``: the header of that name.

        Raises:
            BadRequest: the request is wrong.
        """


class DetectorService:
    """Detectors: ``{"image", "threshold"?}`` in, CVAT's list of shapes out."""

    def __init__(self, detector: Detector, settings: FunctionSettings) -> None:
        """Answer with what ``detector`` finds."""
        self.reference = detector.reference
        self._detector = detector
        self._settings = settings
        self._nodes: dict[str, Sequence[str]] = {
            label["name"]: [node["name"] for node in label["sublabels"]]
            for label in detector.labels
            if label["type"] == "skeleton"
        }

    def answer(self, body: Mapping[str, Any], accept: str) -> Answer:
        """A list, empty where nothing is found."""
        stated = threshold_of(body)
        image = picture_of(body, self._settings.max_pixels)
        found = self._detector.detect(image, self._settings.threshold if stated is None else stated)
        shapes = items(found.shapes, self._nodes, self._settings.outlines)
        return Answer(json.dumps(shapes, allow_nan=False, separators=(",", ":")), notes=found.notes)


class RemovalService:
    """Lattice removal: ``{"image", "keypoints", "format"?}`` in, the clean picture's file out."""

    def __init__(self, remover: LatticeRemover, settings: FunctionSettings) -> None:
        """Answer with the pictures that ``remover`` makes."""
        self.reference = remover.reference
        self._remover = remover
        self._settings = settings

    def answer(self, body: Mapping[str, Any], accept: str) -> Answer:
        """The file's bytes; for callers that accept JSON only, ``{"image": base64}``."""
        form = format_of(body)
        image = picture_of(body, self._settings.max_pixels)
        nodes = keypoints_of(body, self._remover.topology.size, image)
        if image.shape[0] != image.shape[1]:
            raise BadRequest(f"a rectified picture is square, this one is {image.shape[1]} x {image.shape[0]}")
        clean = self._remover.clean(image, nodes - HALF_PIXEL)
        flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if form == "jpeg" else []
        written, data = cv2.imencode(f".{form}", np.ascontiguousarray(clean[:, :, ::-1]), flags)
        if not written:
            raise FunctionSetupError(f"OpenCV cannot write {form}")
        if JSON in accept.lower():
            return Answer(json.dumps({"image": base64.b64encode(data.tobytes()).decode()}))
        return Answer(data.tobytes(), f"image/{form}")


class SamService:
    """Segment Anything: ``{"image", ...}`` in, ``{"blob": base64 of float32 (1, 256, 64, 64)}`` out.

    The clicks that CVAT sends along are for functions that cut out by themselves; here its page does it.
    """

    def __init__(self, encoder: SamEncoder, settings: FunctionSettings) -> None:
        """Answer with the embeddings that ``encoder`` makes."""
        self.reference = encoder.reference
        self._encoder = encoder
        self._settings = settings

    def answer(self, body: Mapping[str, Any], accept: str) -> Answer:
        """The embedding, little endian, as CVAT's plugin reads it."""
        embedding = self._encoder.embed(picture_of(body, self._settings.max_pixels))
        return Answer(json.dumps({"blob": base64.b64encode(embedding.astype("<f4").tobytes()).decode()}))
