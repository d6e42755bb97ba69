"""The inner loops of this room, compiled: several times as fast as with NumPy, and the same numbers.

``_loops.c`` is compiled when reefline is installed where there is a C compiler; elsewhere ``compiled`` is None, and
``analytics.quality.spans`` and ``analytics.quality.moves`` do the same with NumPy.
"""

from __future__ import annotations

from types import ModuleType

compiled: ModuleType | None
try:
    from analytics.quality import _loops as compiled
except ImportError:
    compiled = None
