"""LaMa (Suvorov et al. 2022): the TorchScript file that the user supplies, as QUADRATSEG used it."""

from __future__ import annotations

from typing import Any

def paint_lama(image: Any, mask: Any, engine: Any) -> Any:
    raise NotImplementedError
