"""Whether a finished release is whole: every file there, unchanged, and belonging to its content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path

CHECKSUMS = "checksums.sha256"
RELEASE_JSON = "release.json"


def sha256_of(path: Path) -> str:
    """The hash of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_lines(sums: dict[str, str]) -> bytes:
    """The checksums file, as ``sha256sum -c`` reads it."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items())).encode()


def verify(paths: Collection[str], read: Callable[[str], bytes], digest: Callable[[str], str]) -> list[str]:
    """What is wrong with a release: missing, changed, or not belonging to its content hash.

    Args:
        paths: of all its files.
        read: bytes of a small file.
        digest: sha256 of a file of any size.
    """
    if RELEASE_JSON not in paths or CHECKSUMS not in paths:
        return [f"{RELEASE_JSON} or {CHECKSUMS} is missing"]
    defects = []
    sums = read(CHECKSUMS)
    if json.loads(read(RELEASE_JSON))["content_sha256"] != hashlib.sha256(sums).hexdigest():
        defects.append(f"{CHECKSUMS} is not the one that {RELEASE_JSON} names")
    listed = set()
    for line in sums.decode().splitlines():
        stated, _, path = line.partition("  ")
        listed.add(path)
        if path not in paths:
            defects.append(f"{path} is missing")
        elif digest(path) != stated:
            defects.append(f"{path} has changed")
    extra = sorted(set(paths) - listed - {RELEASE_JSON, CHECKSUMS})
    return defects + [f"{path} is not of the release" for path in extra]
