"""What a function is asked, checked before anything is computed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.decode import UndecodableImage, decode
from inference.functions.detectors import Picture

SHOWN = 80
FARTHEST = 1e6
"""Pixels; no picture reaches so far."""


class BadRequest(ValueError):
    """The request cannot be answered; the message, one line, says what is wrong with it."""


def body_of(raw: Any) -> Mapping[str, Any]:
    """The body as an object. Nuclio has parsed it already when it was sent as ``application/json``.

    Raises:
        BadRequest: it is no JSON object.
    """
    if isinstance(raw, str | bytes | bytearray):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError) as error:  # also wrong UTF-8, and a million opening brackets
            raise BadRequest('the body is no JSON: send {"image": "<base64>"}') from error
    if not isinstance(raw, Mapping):
        raise BadRequest('the body must be a JSON object like {"image": "<base64>"}')
    return raw


def picture_of(body: Mapping[str, Any], max_pixels: int) -> Picture:
    """The picture in ``image``, upright uint8 RGB ``(H, W, 3)``.

    Raises:
        BadRequest: no such field, no base64, no picture, or one with too many pixels.
    """
    text = body.get("image")
    if not isinstance(text, str) or not text:
        raise BadRequest("'image' is missing: it is the picture's file in base64")
    try:
        # Line breaks are allowed (MIME writes them); any other foreign character is an error.
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("'image' is no base64 text") from error
    try:
        return decode(data, max_pixels=max_pixels).image
    except UndecodableImage as error:
        raise BadRequest(f"'image' cannot be read: {error}") from error


def threshold_of(body: Mapping[str, Any]) -> float | None:
    """The score that CVAT's user asks for, None when not stated.

    Raises:
        BadRequest: not a number of 0..1.
    """
    stated = body.get("threshold")
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 <= stated <= 1:
        raise BadRequest(f"'threshold' must be a number between 0 and 1, it is {str(stated)[:SHOWN]!r}")
    return float(stated)


def keypoints_of(body: Mapping[str, Any], count: int, image: Picture) -> NDArray[np.float64]:
    """The nodes in ``keypoints``, ``(count, 2)`` in CVAT's pixels.

    Raises:
        BadRequest: missing, of another number, no finite pairs, or far outside the picture.
    """
    stated = body.get("keypoints")
    if not isinstance(stated, list):
        raise BadRequest(f"'keypoints' is missing: a list of {count} [x, y] pairs, the lattice's nodes in order")
    if len(stated) != count:
        raise BadRequest(f"'keypoints' has {len(stated)} entries, the lattice has {count} nodes")
    for number, pair in enumerate(stated, 1):
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))):
            raise BadRequest(f"'keypoints' {number} must be [x, y], it is {str(pair)[:SHOWN]}")
    nodes = np.array(stated, float)
    reach = 2 * max(image.shape[:2])
    if (np.abs(nodes) > reach).any():
        raise BadRequest("'keypoints' lie far outside the picture: are they of another one?")
    return nodes


def format_of(body: Mapping[str, Any]) -> str:
    """``jpeg`` or ``png``.

    Raises:
        BadRequest: another format.
    """
    stated = body.get("format", "jpeg")
    if stated not in ("jpeg", "png"):
        raise BadRequest(f"'format' must be jpeg or png, it is {str(stated)[:SHOWN]!r}")
    return str(stated)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FARTHEST  # NaN is not below
