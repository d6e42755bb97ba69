"""What the bytes themselves say before any decoder runs: what kind of file it is, and whether its end is there."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
)
_TIFF_SUBFILE, _TIFF_SUBIFDS, _DNG_VERSION = 254, 330, 50706
_RAW_HEADERS = {b"CR\x02\x00": "Canon CR2"}


def kind_of(data: bytes) -> str | None:
    """What the first bytes claim the file to be, for messages; ``None`` when nothing is recognised."""
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:12] in {b"avif", b"avis"} else "HEIF"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG begins and ends as it should; a cut file lacks the end marker."""
    return data.startswith(b"\xff\xd8\xff") and data.rstrip(b"\x00").endswith(b"\xff\xd9")


def raw_camera_format(data: bytes, tags: dict[int, object]) -> str | None:
    """Name of the camera raw format of a TIFF-like file, whose readable part is only a thumbnail; else ``None``."""
    if data[8:12] in _RAW_HEADERS:
        return _RAW_HEADERS[data[8:12]]
    if _DNG_VERSION in tags:
        return "DNG"
    # NEF, ARW and their kin: the first picture is marked as a reduced copy, the real one hides in a sub-directory.
    reduced = tags.get(_TIFF_SUBFILE)
    return "camera raw" if isinstance(reduced, int) and reduced & 1 and _TIFF_SUBIFDS in tags else None


def missing_heif_bytes(data: bytes) -> int:
    """How many bytes a HEIF or AVIF file refers to beyond its end; 0 when it is whole.

    libheif decodes some cut files to a small or grey picture without an error, so the boxes are compared with the
    length of the file. Source: ISO/IEC 14496-12 (boxes), 8.11.3 (item locations).
    """
    end = 0
    try:
        for kind, start, stop, _ in _boxes(data, 0, len(data)):
            end = max(end, stop)
            if kind == b"meta":
                end = max([end, *_item_ends(data, start + 4, min(stop, len(data)))])
    except (struct.error, IndexError):
        return max(end - len(data), 1)
    return max(end - len(data), 0)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start of content, end, and start of each box; the end is where the box says, inside the file or not."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        content = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            content = at + 16
        stop = end if size == 0 else at + size
        if stop < content:
            raise IndexError("a box smaller than its header")
        yield kind, content, stop, at
        at = stop


def _item_ends(data: bytes, start: int, stop: int) -> Iterator[int]:
    for kind, content, _, _ in _boxes(data, start, stop):
        if kind == b"iloc":
            yield from _iloc_ends(data, content)


def _iloc_ends(data: bytes, at: int) -> Iterator[int]:
    version = data[at]
    sizes = data[at + 4 : at + 6]
    offset_size, length_size, base_size, index_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15
    at += 6
    wide = 4 if version == 2 else 2
    count = _number(data, at, wide)
    at += wide
    for _ in range(count):
        at += wide
        method = 0
        if version in (1, 2):
            method = _number(data, at, 2) & 15
            at += 2
        at += 2
        base = _number(data, at, base_size)
        at += base_size
        extents = _number(data, at, 2)
        at += 2
        for _ in range(extents):
            at += index_size if version in (1, 2) else 0
            offset = base + _number(data, at, offset_size)
            length = _number(data, at + offset_size, length_size)
            at += offset_size + length_size
            if method == 0:  # counted from the start of the file; the other methods point into boxes
                yield offset + length


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError("a number beyond the end of the file")
    return int.from_bytes(data[at : at + size], "big")
