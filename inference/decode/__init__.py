"""Decoding: the bytes of a photo to an upright 8-bit sRGB array, or a reason that a person understands."""

from inference.decode.errors import UndecodableImage
from inference.decode.picture import MAX_PIXELS, Decoded, decode

__all__ = ["MAX_PIXELS", "Decoded", "UndecodableImage", "decode"]
