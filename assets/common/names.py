"""Names used in more than one place: owners, pools, tags, metadata keys, gates. No loose strings elsewhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

TEAM_FIELD: Final = "team:field"
TEAM_VISION: Final = "team:vision"
TEAM_LABELLING: Final = "team:labelling"
TEAM_SCIENCE: Final = "team:science"
TEAM_PLATFORM: Final = "team:platform"

POOL_CVAT: Final = "cvat_api"
POOL_GPU: Final = "gpu"
POOL_CLICKHOUSE: Final = "clickhouse"

TAG_SURVEY: Final = "reefline/survey"
TAG_BATCH: Final = "reefline/batch"
TAG_GATE: Final = "reefline/gate"
TAG_INBOX_ID: Final = "reefline/inbox_id"
"""The last inbox row that a run answers; the run marks rows up to it as done."""

META_MANIFEST: Final = "manifest"
META_LABELS: Final = "labels"
META_PREVIEW: Final = "preview"
META_FAILURES: Final = "failures"
META_COUNTS: Final = "counts"


class Gate(StrEnum):
    """A point where a person may review."""

    CORNERS = "corners"
    LATTICE = "lattice"
    CORALS = "corals"


CORNERS_LABEL: Final = "quadrat_corner"
LATTICE_LABEL: Final = "lattice"
