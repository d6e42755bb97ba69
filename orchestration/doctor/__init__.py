"""``reefline doctor``: looks at every part of an installation and says what to do next.

A module per area, each with checks that yield :class:`Finding`. Nothing here mends anything. What belongs elsewhere:
acting on what is found (``reefline cvat apply``, ``reefline upgrade``, ``deploy.local.watch``).
"""

from __future__ import annotations

from orchestration.doctor.findings import Finding, Level
from orchestration.doctor.models import model_problem

__all__ = ["Finding", "Level", "model_problem"]
