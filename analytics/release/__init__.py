"""Releases: a frozen list of batches as a dataset to cite. Deterministic: equal inputs give equal bytes.

``inputs`` says what goes in, ``exporters`` which files come out, ``writer`` makes them batch by batch, ``check`` reads
every format back with readers of its own (``readers``), ``diff`` compares releases, ``verify`` checks finished ones.
Every label row traces back: ``image_id`` -> ``images.parquet`` (homography, side, hashes of clean and rectified
picture) -> ``raw_sha256``.
"""

from __future__ import annotations

from analytics.release.exporters import EXPORTERS, FORMATS
from analytics.release.inputs import (
    DEFAULT_FORMATS,
    IMAGE_SCHEMA,
    BatchInput,
    Filter,
    ReleaseDefectError,
    ReleasePlan,
)
from analytics.release.splits import SPLITS, SplitError, Splitter, split_of, split_of_subset
from analytics.release.verify import CHECKSUMS, RELEASE_JSON, verify
from analytics.release.writer import Progress, Shelf, write_release

__all__ = [
    "CHECKSUMS",
    "DEFAULT_FORMATS",
    "EXPORTERS",
    "FORMATS",
    "IMAGE_SCHEMA",
    "RELEASE_JSON",
    "SPLITS",
    "BatchInput",
    "Filter",
    "Progress",
    "ReleaseDefectError",
    "ReleasePlan",
    "Shelf",
    "SplitError",
    "Splitter",
    "split_of",
    "split_of_subset",
    "verify",
    "write_release",
]
